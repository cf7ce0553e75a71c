"""FSDD, the Free Spoken Digit Dataset: six people say the ten digits fifty times each, as WAV files of 8 kHz.

It is sound, not spikes: how it becomes spikes is the tasks' business. Must not import torch.
"""

from __future__ import annotations

import hashlib
import io
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataSet, FileVerdict, Presence, naming
from harness.errors import UserError

__all__ = ["FSDD", "SAMPLE_RATE_HZ", "SPEAKERS", "TEST_TAKES", "Spoken", "SpokenDigits", "read_wave"]

SAMPLE_RATE_HZ = 8_000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TEST_TAKES = 5
"""Takes 0 to 4 are the official test part."""
ALL_SHA256 = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"
"""Of the lines "<SHA-256 of the file>  0_george_0.wav", in byte order of the names."""


class Spoken(NamedTuple):
    """One recording."""

    path: Path
    digit: int
    speaker: str
    take: int


@dataclass(frozen=True)
class SpokenDigits(DataSet):
    """Recordings in ``recordings/<digit>_<speaker>_<take>.wav``.

    Parameters
    ----------
    folders : where the recordings may lie below the data root.
    takes : of each digit by each speaker.
    """

    folders: tuple[str, ...] = ()
    takes: int = 50

    def find(self, root: Path) -> Presence:
        """Look for a folder that holds every take."""
        wanted = 10 * len(SPEAKERS) * self.takes
        found = {root / folder: len(self._listed(root / folder)) for folder in self.folders}
        where = max(found, key=lambda folder: found[folder])
        if found[where] != wanted:
            return Presence(self.name, False, missing=(f"{where}: {found[where]:,} of {wanted:,} recordings",))
        test = wanted * TEST_TAKES // self.takes
        return Presence(self.name, True, where, {"train": wanted - test, "test": test})

    def recordings(self, root: Path) -> tuple[Spoken, ...]:
        """List the recordings by digit, speaker and take.

        Raises
        ------
        UserError
            If the set is not below `root`.
        """
        return tuple(self._listed(self.require(root)))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read every file and compare the digest of all."""
        recordings = self.recordings(root)
        broken = []
        for item in recordings:
            try:
                read_wave(item.path)
            except UserError as error:
                broken.append(FileVerdict(str(item.path), False, str(error.args[0])))
        whole = f"{len(recordings) - len(broken):,} of {len(recordings):,} files can be read"
        paths = sorted((item.path for item in recordings), key=lambda path: path.name)
        lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)
        found = hashlib.sha256(lines.encode()).hexdigest()
        where = str(self.require(root))
        return (
            *broken,
            FileVerdict(where, not broken, whole),
            FileVerdict(where, found == ALL_SHA256, f"SHA-256 of the list is {found}"),
        )

    def _listed(self, folder: Path) -> list[Spoken]:
        there = set(folder.glob("*.wav"))  # one look at the folder, not at 3,000 files
        return [
            Spoken(path, digit, speaker, take)
            for digit in range(10)
            for speaker in SPEAKERS
            for take in range(self.takes)
            if (path := folder / f"{digit}_{speaker}_{take}.wav") in there
        ]


FSDD = SpokenDigits(
    name="fsdd",
    title="Free Spoken Digit Dataset",
    licence="CC BY-SA 4.0",
    source="Jackson et al., https://github.com/Jakobovski/free-spoken-digit-dataset",
    how_to_get=(
        "git clone https://github.com/Jakobovski/free-spoken-digit-dataset (21 MB) into the data root; the digest is "
        "that of commit 26eb9aaf"
    ),
    layout="fsdd/recordings/ or free-spoken-digit-dataset/recordings/ with 0_george_0.wav ... 9_yweweler_49.wav",
    folders=("fsdd/recordings", "free-spoken-digit-dataset/recordings"),
)


def read_wave(path: Path) -> NDArray[np.int16]:
    """Return the samples of one recording, ``[S]``, at 8 kHz.

    Raises
    ------
    UserError
        If the file is not a whole mono WAV file of 16 bits and 8 kHz, or is silent.
    """
    with naming(path, "a recording of FSDD", "replace it by the file of the same name from FSDD"):
        content = path.read_bytes()
        announced = int.from_bytes(content[4:8], "little") + len(b"RIFF....")
        if content[:4] == b"RIFF" and len(content) != announced:
            raise ValueError(f"{len(content):,} bytes; its header announces {announced:,}")
        with wave.open(io.BytesIO(content)) as file:
            form = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            if form != (SAMPLE_RATE_HZ, 2, 1):
                raise ValueError(f"{form[0]} Hz, {8 * form[1]} bits, {form[2]} channels; expected 8000, 16, 1")
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
            if len(samples) != file.getnframes():
                raise ValueError(f"{len(samples):,} samples; its header announces {file.getnframes():,}")
        if not samples.any():
            raise ValueError("nothing but silence")
    return samples
