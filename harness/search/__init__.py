"""Searches of topologies: which skip connections suit a task, a neuron and a training method.

What may be chosen (`space`), what is tried next (`surrogate`, `sampler`), how it is tried (`evaluation`), the search as
a whole (`study`), and what comes of it (`outcome`, `plot`, `export`). optuna, an extra, is imported when a search runs.
"""
