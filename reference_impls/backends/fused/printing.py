"""Prints programs as statements of a language: what all of them have in common.

Must not know loops, blocks or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.program import Argument, Assignment, Program

__all__ = ["Language"]


@dataclass(frozen=True, slots=True)
class Language:
    """How a language writes the operations of a program.

    `operations` maps an operation to a template with ``{0}``, ``{1}``, ``{2}`` for its arguments; `constant` writes a
    number; `statement` writes an assignment, given name, expression and whether it is a truth value.
    """

    name: str
    operations: Mapping[str, str]
    constant: Callable[[float], str]
    statement: Callable[[str, str, bool], str]

    def value(self, argument: Argument) -> str:
        """Return an argument as the language writes it."""
        return argument if isinstance(argument, str) else self.constant(float(argument))

    def body(self, program: Program) -> list[str]:
        """Return the statements of `program`, one a line.

        Raises
        ------
        UnsupportedError
            If the language has no form of an operation.
        """
        return [self._line(assignment) for assignment in program.body]

    def _line(self, assignment: Assignment) -> str:
        template = self.operations.get(assignment.operation)
        if template is None:
            raise UnsupportedError(f"{self.name} has no form of the operation {assignment.operation!r}")
        expression = template.format(*map(self.value, assignment.arguments))
        return self.statement(assignment.name, expression, assignment.is_flag)
