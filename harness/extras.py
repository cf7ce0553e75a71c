"""Optional libraries: which extra of the package brings each, and the one sentence to say where one is missing.

Whoever needs such a library imports it where it is used, and says nothing: whoever shows errors asks here. Must not
import any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from harness.errors import UserError

__all__ = ["EXTRA_OF", "MissingExtraError", "missing_extra", "require"]

EXTRA_OF: Mapping[str, str] = {
    "tonic": "data",
    "h5py": "data",
    "PIL": "data",
    "matplotlib": "plots",
    "numba": "fused",
    "llvmlite": "fused",
    "cupy": "cuda12",
    "triton": "triton",
    "optuna": "search",
    "nir": "nir",
    "ray": "ray",
    "pycocotools": "detection",
    "asv": "asv",
    "asv_runner": "asv",
    "mkdocs": "docs",
    "gymnasium": "control",
    "stable_baselines3": "control",
    "mujoco": "mujoco",
}
"""Import -> extra. CuPy has two, one for each version of CUDA; the sentence names both."""
_PURPOSE = {
    "data": "data sets of events and of HDF5 files need it",
    "plots": "pictures for papers need it",
    "fused": "the fused backend of CPUs needs it",
    "cuda12": "the fused backend of GPUs needs it, or 'spikeboard[cuda13]' with CUDA 13",
    "triton": "the backend fused-triton needs it; a torch for CUDA brings it along",
    "search": "searches and tuning need it",
    "nir": "reading and writing NIR graphs needs it",
    "ray": "running on many machines needs it",
    "detection": "the average precision of boxes needs it",
    "asv": "measuring commits needs it",
    "docs": "building the documentation needs it",
    "control": "environments to act in need it",
    "mujoco": "environments that MuJoCo simulates need it",
}


class MissingExtraError(UserError, ImportError):
    """An optional library is not installed; the message names it, the hint is the command."""

    def __init__(self, library: str) -> None:
        extra = EXTRA_OF[library]
        super().__init__(
            f"{library} is not installed: {_PURPOSE[extra]}", f"python -m pip install 'spikeboard[{extra}]'"
        )
        self.name = library


def missing_extra(error: BaseException | None) -> MissingExtraError | None:
    """Return what to say of a failed import, if `error` (or what it came from) is one of an optional library."""
    while error is not None:
        if isinstance(error, MissingExtraError):
            return error
        if isinstance(error, ModuleNotFoundError) and (library := (error.name or "").partition(".")[0]) in EXTRA_OF:
            return MissingExtraError(library)
        error = error.__cause__ or error.__context__
    return None


def require(library: str) -> None:
    """Raise MissingExtraError unless `library` can be imported; it is not."""
    if find_spec(library) is None:
        raise MissingExtraError(library)
