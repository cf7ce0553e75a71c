"""What to do next: which cells to run, in which order, and how long they take. Never imports torch."""
