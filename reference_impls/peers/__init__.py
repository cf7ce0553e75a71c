"""Other libraries' LIF neurons, one file each: a ``CARD`` literal and one class that imports its library when built."""
