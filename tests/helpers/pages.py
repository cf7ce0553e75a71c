"""A page of the site taken apart, for tests that follow its links and read its text."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """A page taken apart: what it links to, what can be linked to, what it loads, and whether its tags are paired."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.source = path.read_text(encoding="utf-8")
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        self.text = ""
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if len(given) != len(attrs):
            self.problems.append(f"<{tag}> has an attribute twice")
        if given.get("id"):
            self.ids[str(given["id"])] += 1
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loads.append(str(given["src"]))
        if tag == "link":
            self.loads.append(str(given["href"]))
        if tag == "script":
            self.scripts.append((str(given.get("type", "")), ""))
        self.problems += [f"<{tag}> handles {name}" for name, value in attrs if name.startswith("on") and tag != "form"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            kind, text = self.scripts.pop()
            self.scripts.append((kind, text + data))
        else:
            self.text += data
