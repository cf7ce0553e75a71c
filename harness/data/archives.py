"""Sets that are published as archives with a known MD5: download, check, unpack, and only then put in place.

What an archive holds is the business of each set. Must not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.data.base import DataSet, Progress, staging

__all__ = ["Archive", "ArchivedSet", "Unpack"]


@dataclass(frozen=True, slots=True)
class Archive:
    """A published file; `into` is the folder below the data root that it is unpacked in."""

    url: str
    name: str
    md5: str
    into: str = ""


Unpack = Callable[[Archive, Path], None]
"""Downloads an archive, checks its MD5 and unpacks it into a folder."""


def _with_tonic(archive: Archive, folder: Path) -> None:
    from tonic.download_utils import download_and_extract_archive  # brings torch along; only a fetch needs it

    download_and_extract_archive(archive.url, str(folder), None, archive.name, archive.md5)
    (folder / archive.name).unlink()  # tonic's own remove_finished leaves archives where they are


@dataclass(frozen=True)
class ArchivedSet(DataSet):
    """A set that can be downloaded as archives.

    Parameters
    ----------
    folders : where the set may lie below the data root; the first is where `fetch` puts it.
    archives : what to download (none: the set cannot be fetched).
    unpack : how; tests put their own here.
    """

    folders: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    unpack: Unpack = _with_tonic

    def _download(self, root: Path, progress: Progress) -> None:
        if not self.archives:
            super()._download(root, progress)
        target = root / self.folders[0]
        if target.exists():
            raise ValueError(f"{target} is there but incomplete; remove or rename it")
        with staging(root) as folder:
            for index, archive in enumerate(self.archives):
                progress(0.95 * index / len(self.archives), f"downloading {archive.name}")
                self.unpack(archive, folder / archive.into)
            progress(0.95, "checking")
            for verdict in self.verify(folder):
                if not verdict.intact:
                    raise ValueError(f"the download is not what was expected: {verdict.finding}")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / self.folders[0], target)
        progress(1.0, f"{self.title} is in {target}")
