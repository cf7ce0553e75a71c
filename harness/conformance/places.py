"""Where in a contributor's file something went wrong, and saying so: ``file:line: what happened``.

An exception has gone through many files; what its reader can mend is the last line of his own. Must not know what is
checked.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.conformance import CheckFailedError
from harness.errors import UserError
from harness.extras import missing_extra
from reference_impls.backends import UnsupportedError
from reference_impls.card import CardError

__all__ = ["NumpyWatch", "defined_at", "place_of", "saying_where"]

OUT_OF_TORCH = (Tensor.numpy, Tensor.__array__)
"""What a step calls, knowingly or not, when it computes with NumPy."""


def place_of(error: BaseException, paths: Iterable[Path]) -> str | None:
    """Return ``file:line`` of the innermost line of the files `paths` that `error` went through; None if of none."""
    wanted = {str(path) for path in paths}
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename in wanted]
    return lines[-1] if lines else None


def defined_at(thing: Callable[..., Any] | type) -> str:
    """Return ``file:line`` of the definition of a function, method or class."""
    code = getattr(thing, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):  # it was made while running
        return getattr(thing, "__qualname__", repr(thing))


@contextmanager
def saying_where(path: Path, doing: str, otherwise: str) -> Iterator[None]:
    """Turn whatever is raised inside the block into a CheckFailedError that begins with its place.

    Parameters
    ----------
    path : the contributor's file.
    doing : what was being done, for the message.
    otherwise : the place to name if no line of that file was being run.
    """
    try:
        yield
    except (CheckFailedError, UnsupportedError, UserError):
        raise
    except CardError as error:  # says its file
        raise CheckFailedError(str(error)) from error
    except Exception as error:
        if missing_extra(error) is not None:
            raise
        place = place_of(error, [path]) or otherwise
        raise CheckFailedError(f"{place}: {type(error).__name__}: {error}, while {doing}") from error


class NumpyWatch(TorchFunctionMode):
    """Inside the block, notes the first line that takes a tensor out of torch into NumPy."""

    def __init__(self) -> None:
        super().__init__()
        self.place: str | None = None
        """``file:line``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.place is None and func in OUT_OF_TORCH:
            self.place = _outside_of_libraries(sys._getframe(1))
        return func(*args, **(kwargs or {}))


def _outside_of_libraries(frame: FrameType | None) -> str | None:
    torch_folder = str(Path(torch.__file__).parent)
    while frame is not None and frame.f_code.co_filename.startswith(torch_folder):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
