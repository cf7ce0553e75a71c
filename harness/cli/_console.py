"""Tables on the terminal; whole where the output is none."""

from __future__ import annotations

import sys

from rich.table import Table

from harness.terminal import Console

__all__ = ["print_whole"]


def print_whole(table: Table) -> None:
    """Print `table`: folded into a terminal's width, and as wide as it is where it goes to a file or a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        # 0 of maximum: a table knows how wide it would be if nothing were in its way.
        width = console.measure(table, options=console.options.update(max_width=sys.maxsize)).maximum
        console = Console(highlight=False, width=max(width, 1))
    console.print(table)
