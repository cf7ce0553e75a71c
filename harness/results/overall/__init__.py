"""Rows over several tasks: what each is worth beside the baseline, and which of them can be told apart."""
