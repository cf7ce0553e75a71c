"""Makes asv's published pages work without a network, a server or a detour back to the leaderboard.

asv's page takes its libraries from other people's servers, reads its data in a way that browsers refuse beside a page
opened from a file, and knows no way out. Nothing else of it is changed. Must not know what the pages show.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from harness.errors import UserError

__all__ = ["LIBRARIES", "make_self_contained"]

VENDOR = "vendor"
"""Folder of the libraries, beside this module and below the pages'."""
LIBRARIES: Mapping[str, str] = {
    "https://code.jquery.com/jquery-3.3.1.min.js": "jquery-3.3.1/jquery.min.js",
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.min.js": "flot-0.8.3/jquery.flot.js",
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.time.min.js": "flot-0.8.3/jquery.flot.time.js",
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.selection.min.js": (
        "flot-0.8.3/jquery.flot.selection.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.categories.min.js": (
        "flot-0.8.3/jquery.flot.categories.js"
    ),
    "https://cdn.jsdelivr.net/npm/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": (
        "flot-orderbars-1.0.0/jquery.flot.orderBars.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/stupidtable/1.0.1/stupidtable.min.js": (
        "stupid-table-plugin-1.1.3/stupidtable.min.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/blueimp-md5/2.19.0/js/md5.min.js": "blueimp-md5-2.19.0/md5.min.js",
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/js/bootstrap.min.js": "bootstrap-3.1.1/bootstrap.min.js",
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/css/bootstrap.min.css": "bootstrap-3.1.1/bootstrap.min.css",
}
"""Address in asv's page -> file in ``vendor`` beside this module; its ``README.md`` says where they come from."""

_TAG = re.compile(r"<(?:script|link)\b[^>]*>")
_ADDRESS = re.compile(r'(?:src|href)="(https?://[^"]*)"')
_ATTRIBUTES = re.compile(r'\s(?:integrity|crossorigin|referrerpolicy)="[^"]*"')
_FIRST_OF_ASV = '<script language="javascript" type="text/javascript"\n            src="asv.js">'
_FIRST_OF_MENU = '<li id="nav-li-" class="active">'


def make_self_contained(pages: Path, leaderboard: str = "../index.html") -> None:
    """Change what ``asv publish`` has written to the folder `pages`; `leaderboard` is where its first link leads.

    Raises
    ------
    UserError
        If the page is not the one of the pinned version of asv.
    """
    index = pages / "index.html"
    text = _TAG.sub(_local, index.read_text(encoding="utf-8"))
    text = _inserted(text, _FIRST_OF_ASV, f'<script src="{VENDOR}/local.js"></script>\n    ')
    text = _inserted(text, _FIRST_OF_MENU, f'<li><a href="{leaderboard}">Leaderboard</a></li>\n        ')
    index.write_text(text, encoding="utf-8")
    with as_file(files("harness.asv") / "vendor") as libraries:
        shutil.copytree(libraries, pages / VENDOR)
    for path in sorted(pages.rglob("*.json")):
        script = path.with_name(path.name + ".js")
        script.write_text(f"asvData({path.read_text(encoding='utf-8')});\n", encoding="utf-8")


def _local(tag: re.Match[str]) -> str:
    """Return a tag that takes its file from beside the page."""
    address = _ADDRESS.search(tag[0])
    if address is None:
        return tag[0]
    if address[1] not in LIBRARIES:
        raise _other_version(address[1])
    return _ATTRIBUTES.sub("", tag[0].replace(address[1], f"{VENDOR}/{LIBRARIES[address[1]]}"))


def _inserted(text: str, before: str, what: str) -> str:
    if text.count(before) != 1:
        raise _other_version(before)
    return text.replace(before, what + before)


def _other_version(unexpected: str) -> UserError:
    return UserError(
        f"asv's page is not the one this Spikeboard knows ({unexpected})",
        "install the pinned version: pip install 'spikeboard[asv]'",
    )
