"""Tasks, one file each: a ``CARD`` literal (data, split, encoding, T, networks, budgets) and one class."""
