"""Errors that a user can mend: one sentence that names the thing, and the command to try next.

Everything of this kind ends as a message without a traceback; the command line knows only this class.
"""

from __future__ import annotations

__all__ = ["UserError"]


class UserError(Exception):
    """Something the user can mend.

    Parameters
    ----------
    message : what is wrong, naming the thing.
    hint : what to do next, often a command; shown on a line of its own.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n{self.hint}" if self.hint else message
