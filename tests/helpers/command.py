"""The command in the test's own process: for what it says and how it ends, which need no interpreter of their own.

What is about processes (streams, signals, users, imports) starts one instead.
"""

from __future__ import annotations

import contextlib
import gc
import io
from pathlib import Path
from unittest import mock

from harness.cli import main

__all__ = ["spikeboard"]


def spikeboard(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the command as in `folder`, and return all that it printed."""
    said, ended = io.StringIO(), 0
    thresholds = gc.get_threshold()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        mock.patch("sys.argv", ["spikeboard", *arguments]),
    ):
        try:
            main()
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            gc.set_threshold(*thresholds)
    assert ended == code, said.getvalue()
    return said.getvalue()
