"""README and CONTRIBUTING as pages of the documentation: they stay where readers of a repository look for them."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the two pages, with links that lead to pages."""
    for page, source in PAGES.items():
        text = _LINK.sub(_led, (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def _led(link: re.Match[str]) -> str:
    target = link.group(1)
    here = next((page for page, source in PAGES.items() if source == target), target.removeprefix("docs/"))
    return f"]({here})"
