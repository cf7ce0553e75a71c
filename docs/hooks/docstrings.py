"""Docstrings as Markdown: their sections become headings and lists, and roles become names.

The project writes ``name : what it is``, and types stand in the signature; a reader of numpydoc would take the one
for the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

_SECTION = re.compile(r"^(?P<name>[A-Z][a-z]+)\n-+\n", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_EXAMPLE = re.compile(r"^(?:>>>|\.\.\.) ?")


class Docstrings(griffe.Extension):
    """Rewrites every docstring that is shown."""

    def on_object(self, *, obj: griffe.Object, loader: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Rewrite the docstring of `obj`."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring as Markdown."""
    text = _ROLE.sub(r"`\1`", text)
    parts = _SECTION.split(text)
    lines = [parts[0].rstrip()]
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        lines += ["", f"**{name}**", ""]
        if name == "Examples":
            lines += ["```python", *body.rstrip().splitlines(), "```"]
        elif name in ("Parameters", "Raises"):
            lines += _entries(body)
        else:
            lines += [body.rstrip()]
    return "\n".join(lines) + "\n"


def _entries(body: str) -> Iterator[str]:
    """Yield a list of ``name : text`` or ``name``, each with the indented lines below it."""
    for line in body.rstrip().splitlines():
        if not line.strip():
            continue
        if line.startswith(" "):
            yield f"    {line.strip()}"
        else:
            name, _, rest = line.partition(" : ")
            yield f"- `{name}`: {rest}".rstrip()
