"""The checks of a submission's records: each a function of what was read, that returns lines. None runs anything."""
