"""Runs cells: each in its own process, under hard limits, and every ending becomes a record.

`Where` (:mod:`~harness.execute.where`) makes what runs them: `LocalPool` (:mod:`~harness.execute.pool`) on this
machine, or the nodes of a cluster (:mod:`~harness.execute.cluster`), behind one protocol
(:mod:`~harness.execute.executor`). The course of a run is the same for both (:mod:`~harness.execute.session`).
Nothing here but the worker, and what the fork server preloads for it, imports torch.
"""
