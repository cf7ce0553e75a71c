"""Whole systems, one file each: a ``CARD`` literal and one class that brings network and training for one question."""
