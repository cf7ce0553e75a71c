"""Runs cells: each in its own process, under hard limits, and every ending becomes a record.

`LocalPool` (:mod:`~harness.execute.pool`) runs them on this machine. What any other executor would share stands
beside it: jobs and listeners, the outcome that a worker gives, and how outcomes become records. Nothing here but
the worker, and what the fork server preloads for it, imports torch.
"""
