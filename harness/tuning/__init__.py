"""Tuning with equal means: the same trials, budget and choice for every row, and what comes of it as data.

Where a row may be searched (`space`), which points of it (`design`), what they gave (`study`), how they are run
(`run`), and what an untuned reader loses (`tunability`, `show`). optuna, an extra, is imported when points are drawn.
"""
