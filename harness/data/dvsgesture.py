"""DVS128 Gesture: hand and arm gestures of 29 people before an event camera, cut and laid out as tonic does.

Read without tonic's class, which wants the archive beside the files. Must not import torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.data.archives import Archive, ArchivedSet
from harness.data.base import FileVerdict, Presence, naming
from harness.data.events import Events, Recording, checked, whole_numbers
from harness.errors import UserError

__all__ = ["DVSGESTURE", "SIDE", "GestureSet", "read_events"]

SIDE = 128
"""Pixels of the sensor in a row and in a column."""
CLASSES = 11
PARTS = {"train": "ibmGestureTrain", "test": "ibmGestureTest"}


@dataclass(frozen=True)
class GestureSet(ArchivedSet):
    """Recordings in ``ibmGesture{Train,Test}/user<n>_<light>/<class>.npy``.

    Parameters
    ----------
    counts : number of recordings of each part.
    """

    counts: Mapping[str, int] = field(default_factory=dict)

    def find(self, root: Path) -> Presence:
        """Look for a folder that holds all recordings of both parts."""
        lacking: tuple[str, ...] = ()
        for folder in (root / name for name in self.folders):
            found = Counter(item.part for item in _listed(folder))
            if {part: found[part] for part in PARTS} == dict(self.counts):
                return Presence(self.name, True, folder, dict(self.counts))
            if found or not lacking:
                lacking = tuple(
                    f"{folder / PARTS[part]}: {found[part]:,} of {wanted:,} recordings"
                    for part, wanted in self.counts.items()
                )
        return Presence(self.name, False, missing=lacking)

    def recordings(self, root: Path) -> tuple[Recording, ...]:
        """List the files, training part first, by person, light and class; the number is the person's.

        Raises
        ------
        UserError
            If the set is not below `root`.
        """
        return tuple(_listed(self.require(root)))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read every recording; nobody may be in both parts."""
        recordings = self.recordings(root)
        broken = []
        for item in recordings:
            try:
                read_events(item.path)
            except UserError as error:
                broken.append(FileVerdict(str(item.path), False, str(error.args[0])))
        whole = f"{len(recordings) - len(broken):,} of {len(recordings):,} files can be read"
        people = [{item.number for item in recordings if item.part == part} for part in PARTS]
        apart = not people[0] & people[1]
        where = str(self.require(root))
        return (
            *broken,
            FileVerdict(where, not broken, whole),
            FileVerdict(f"{where}, people", apart, f"{len(people[0])} train, {len(people[1])} test, apart: {apart}"),
        )


DVSGESTURE = GestureSet(
    name="dvsgesture",
    title="DVS128 Gesture",
    licence="CC BY 4.0",
    source="Amir et al., A Low Power, Fully Event-Based Gesture Recognition System, CVPR 2017",
    how_to_get="spikeboard data fetch dvsgesture (tonic's cut of it)",
    layout="DVSGesture/ with ibmGestureTrain/ and ibmGestureTest/ as tonic unpacks them",
    folders=("DVSGesture", "dvsgesture"),
    archives=(
        Archive(
            "https://figshare.com/ndownloader/files/38022171",
            "ibmGestureTrain.tar.gz",
            "3a8f0d4120a166bac7591f77409cb105",
            "DVSGesture",
        ),
        Archive(
            "https://figshare.com/ndownloader/files/38020584",
            "ibmGestureTest.tar.gz",
            "56070e45dadaa85fff82e0fbfbc06de5",
            "DVSGesture",
        ),
    ),
    counts={"train": 1_077, "test": 264},
)


def read_events(path: Path) -> Events:
    """Read one recording: columns x, y, polarity and milliseconds; events that came late are put in their place.

    Raises
    ------
    UserError
        If the file is not that, or an event lies off the sensor.
    """
    hint = "remove its folder and fetch the set again: spikeboard data fetch dvsgesture"
    with naming(path, "a recording of DVS128 Gesture", hint):
        table = np.load(path, allow_pickle=False)
        if not isinstance(table, np.ndarray) or table.ndim != 2 or table.shape[1] != 4:
            raise ValueError(f"an array of shape {getattr(table, 'shape', None)}, not [events, 4]")
        x, y, p = whole_numbers(table[:, :3], "places and polarities").T
        with np.errstate(over="ignore"):  # infinity is no whole number
            t = whole_numbers(np.rint(table[:, 3].astype(np.float64) * 1e3), "times")
        order = np.argsort(t, kind="stable")
        return checked(Events(*(column[order] for column in (t, x, y, p))), SIDE, SIDE)


def _listed(folder: Path) -> list[Recording]:
    return [
        Recording(path, part, int(person.name[len("user") :].partition("_")[0]), int(path.stem))
        for part, name in PARTS.items()
        for person in sorted((folder / name).glob("user[0-9]*_*"))
        if person.name[len("user") :].partition("_")[0].isdecimal()
        for path in sorted(person.glob("*.npy"), key=lambda path: path.stem.zfill(2))
        if path.stem.isdecimal() and int(path.stem) < CLASSES
    ]
