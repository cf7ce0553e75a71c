"""Suites, one file each: a ``CARD`` literal (question, figures, limits) and one class that answers it."""
