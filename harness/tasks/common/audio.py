"""Sound to spikes, two definitions: level crossings of a mel spectrogram, and hair cells behind band filters.

Both are deterministic: float64 throughout, and no event lies so close to a threshold that the last bit of a logarithm
could move it (tests pin the events). Must not know whose voice it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events

__all__ = ["BANDS", "hair_cells", "level_crossings", "mel_edges"]

RATE_HZ = 8_000
BANDS = 32
LOW_HZ, HIGH_HZ = 50.0, 3_800.0

WINDOW, HOP = 256, 80
FLOOR = 1e-6
"""Added to the energy of a band, so that silence has a logarithm."""
STEP = 1.0
"""Distance of the levels, in units of the natural logarithm of energy."""

TIME_CONSTANT_S = 0.010
GAIN = 0.3
COMPRESSION = 0.5

Signal = NDArray[np.float64]


def mel_edges() -> Signal:
    """Return the `BANDS` + 2 frequencies, in Hz, equally spaced in mel, between which the bands lie.

    Band i rises from edge i to edge i + 1 and falls to edge i + 2; mel(f) = 2595 log10(1 + f / 700).
    """
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOW_HZ, HIGH_HZ))
    return 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)


def level_crossings(samples: NDArray[np.int16]) -> Events:
    """Report the levels that each band's log energy crosses from one frame to the next.

    The waveform is divided by its peak, cut into Hann windows of 32 ms every 10 ms and weighted with triangles
    between `mel_edges`; L = ln(energy + 1e-6). Between frames k - 1 and k, a band gives one event for every
    multiple of `STEP` that L passes, ON upwards and OFF downwards, at the start of frame k. x is the band.
    """
    wave = samples / np.abs(samples).max()
    if len(wave) < WINDOW:
        wave = np.pad(wave, (0, WINDOW - len(wave)))
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    level = np.floor(np.log(power @ _triangles() + FLOOR) / STEP).astype(np.int64)
    crossed = np.diff(level, axis=0)
    frame, band = np.nonzero(crossed)
    number = crossed[frame, band]
    t = (frame + 1) * (HOP * 1_000_000 // RATE_HZ)
    t, band, on = (np.repeat(column, np.abs(number)) for column in (t, band, (number > 0).astype(np.int64)))
    return Events(t, band, np.zeros_like(band), on)


def hair_cells(recordings: Sequence[NDArray[np.int16]], stop_s: float) -> list[Events]:
    """Report the spikes of one leaky integrate-and-fire hair cell a band, up to `stop_s`, for each recording.

    The waveform is divided by its peak and filtered by a second-order Butterworth band-pass between edges i and
    i + 2; the half-wave rectified band signal r, compressed as r ** `COMPRESSION`, drives a membrane at every sample:
    v <- exp(-1 / (8000 Hz tau)) v + gain r ** compression; at v >= 1 the cell fires and v loses 1. All events are ON;
    x is the band, t the time of the sample.
    """
    from scipy.signal import (
        butter,
        sosfilt,
    )  # imported here: it takes long, and whoever forks a cell imports this module

    last = round(stop_s * RATE_HZ)
    waves = np.zeros((len(recordings), min(max(map(len, recordings)), last)))
    for wave, samples in zip(waves, recordings, strict=True):
        heard = samples[:last]
        wave[: len(heard)] = heard / np.abs(samples).max()
    edges = mel_edges()
    drive = np.empty((waves.shape[1], len(recordings), BANDS))
    for band in range(BANDS):
        passed = sosfilt(butter(2, edges[[band, band + 2]], "bandpass", fs=RATE_HZ, output="sos"), waves)
        drive[:, :, band] = GAIN * np.maximum(passed.T, 0) ** COMPRESSION
    decay = np.exp(-1 / (RATE_HZ * TIME_CONSTANT_S))
    v = np.zeros(drive.shape[1:])
    fired = np.empty(drive.shape, dtype=bool)
    for current, spikes in zip(drive, fired, strict=True):
        v *= decay
        v += current
        np.greater_equal(v, 1, out=spikes)
        v -= spikes
    events = []
    for number, samples in enumerate(recordings):
        # The filters ring on in the padding after a recording; nobody hears that.
        sample, channel = np.nonzero(fired[: len(samples), number])
        t = sample * 1_000_000 // RATE_HZ
        events.append(Events(t, channel, np.zeros_like(channel), np.ones_like(channel)))
    return events


def _triangles() -> Signal:
    """Return the weights of the frequencies of a frame, ``[WINDOW // 2 + 1, BANDS]``."""
    f = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)[:, None]
    edges = mel_edges()
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    return np.maximum(np.minimum((f - low) / (middle - low), (high - f) / (high - middle)), 0)
