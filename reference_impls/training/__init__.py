"""Training methods, one file each: a ``CARD`` literal and one class."""
