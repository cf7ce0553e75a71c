"""Trained weights that one cell leaves to the next: kept where they can be, trained again where they cannot.

No figure depends on the folder they lie in. Must not know what is measured with them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from harness.results.fingerprint import code_hash
from harness.suites.common.train import TrainingRun, train
from harness.workload import Workload
from reference_impls.api import TrainingMethod

__all__ = ["keep_weights", "trained_method", "weights_path"]


def trained_method(workload: Workload) -> TrainingMethod:
    """Return the cell's method with trained weights: those that its accuracy cell left, or trained now."""
    kept = _kept_weights(workload)
    if kept is None:
        method, run = train(workload)
        keep_weights(workload, run)
        return method
    method = workload.method()
    method.prepare(workload.network())
    method.load_state_dict(kept)
    return method


def _kept_weights(workload: Workload) -> Mapping[str, Any] | None:
    """Return the weights in the scratch folder; None if there are none that can be read."""
    path = weights_path(workload)
    if path is None or not path.exists():
        return None
    try:
        weights: Mapping[str, Any] = torch.load(path, weights_only=True, map_location=workload.device)
    except Exception as error:  # a file that was cut short may raise anything
        print(f"{path} cannot be read, training again: {error}")
        return None
    return weights


def keep_weights(workload: Workload, run: TrainingRun) -> None:
    """Leave the best weights in the scratch folder, where a later cell of the same combination finds them."""
    path = weights_path(workload)
    if path is None:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(run.best_weights, draft)
        draft.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises either where there is no room or no right to write
        print(f"the trained weights are not kept, a later cell will train again: {error}")
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def weights_path(workload: Workload) -> Path | None:
    """Return where the weights of the cell's combination lie; they are those of its accuracy cell."""
    if workload.scratch is None:
        return None
    cell = replace(workload.cell, suite="accuracy", threads=1)
    return workload.scratch / "weights" / f"{cell.id}-{code_hash(cell, workload.registry)[:10]}.pt"
