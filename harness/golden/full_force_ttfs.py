"""Golden comparison of full-FORCE's TTFS variant: the same file, with the spike selection and who had to wait."""

from __future__ import annotations

from harness.golden.full_force import compare

__all__ = ["compare"]
