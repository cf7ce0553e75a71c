"""Topologies, one file each: a ``CARD`` literal and one network class, filled by a neuron factory."""
