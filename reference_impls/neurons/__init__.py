"""Neuron models, one file each: a ``CARD`` literal and one class."""
