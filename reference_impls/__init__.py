"""What is measured: one reference implementation of every published neuron model and training method.

The package stands alone: it needs torch and nothing else, and never imports ``harness``. Importing
``reference_impls`` itself, :mod:`~reference_impls.card`, :mod:`~reference_impls.discovery` and
:mod:`~reference_impls.names` does not import torch, so that cards can be listed without it.
"""
