"""What was found: records, where they lie, and tables and comparisons of them. Never imports torch."""
