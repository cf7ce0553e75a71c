"""What is measured: one reference implementation of every published neuron model and training method.

The package stands alone and never imports ``harness``: it needs torch, with the NumPy that torch is used with; the
fused backends need Numba or CuPy (with NetworkX), the exchange with other libraries the package nir, peers their
libraries. Importing
``reference_impls`` itself, :mod:`~reference_impls.card`, :mod:`~reference_impls.discovery` and
:mod:`~reference_impls.names` does not import torch, so that cards can be listed without it.
"""
