"""Scenes that are computed: two textures move before an event camera, one as a disc in front of the other.

For each of them the frames, the events and the optical flow of every pixel are known, the last exactly: a point of a
texture moves at a constant velocity, which is that of its layer plus what turning and zooming add. Only additions,
products and quotients are used, and the stream of NumPy's ``RandomState`` is frozen, so the scenes are the same on
every machine. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.event_camera import Camera

__all__ = ["WINDOW_US", "Filmed", "Scenes", "film", "flow_of", "frame_of", "scenes"]

WINDOW_US = 50_000
"""Time from one frame to the next."""
LATTICE = 16
"""Random values along each side of a texture, which repeats itself beyond them."""
OCTAVES = ((6.0, 0.65), (3.0, 0.35))
"""(Pixels between two random values, weight) of the two noises that a texture is the sum of."""
SPREAD = 1.7
"""How much further from the middle a texture goes than the sum of its noises."""
DARK, BRIGHT = 0.08, 1.0
"""Range of brightness; frames have 255 levels of the latter."""
TURN, ZOOM = 0.03, 0.02
"""Most that a layer turns, in radians, and grows, as a share, from one frame to the next."""
RADII = (4.0, 7.0)
"""Of the disc, in pixels."""
AT_ONCE = 50
"""Scenes that are filmed at a time."""
EVENT = np.dtype([("scene", "<u4"), ("t", "<u4"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
"""An event as `Filmed` keeps it: p is 1 for ON and 0 for OFF."""

Field = NDArray[np.float64]


class Layer(NamedTuple):
    """A texture and its motion, for N scenes."""

    noise: Field
    """Random values of each octave, ``[N, octaves, LATTICE, LATTICE]``."""
    velocity: Field
    """Pixels a window, ``[N, 2]`` (x, y)."""
    change: Field
    """What turning and zooming add to the velocity, a window, ``[N, 2, 2]``: it multiplies the way from the centre."""
    centre: Field
    """``[N, 2]``, at half time."""

    def part(self, of: slice) -> Layer:
        """Return some of the scenes."""
        return Layer(*(values[of] for values in self))


@dataclass(frozen=True)
class Scenes:
    """N scenes of `side` x `side` pixels and `windows` windows; time is in windows, from 0 to that."""

    side: int
    windows: int
    ground: Layer
    disc: Layer
    radius: Field
    """Of the disc, ``[N]``."""

    def __len__(self) -> int:
        return len(self.radius)

    def part(self, of: slice) -> Scenes:
        """Return some of the scenes."""
        return Scenes(self.side, self.windows, self.ground.part(of), self.disc.part(of), self.radius[of])


class Filmed(NamedTuple):
    """What is known of N scenes."""

    frames: NDArray[np.uint8]
    """Brightness at the start and after every window, ``[N, windows + 1, side, side]``; 255 is `BRIGHT`."""
    flow: NDArray[np.float32]
    """Way of what a pixel shows at the start of a window until its end, in pixels, ``[N, windows, 2, side, side]``, x
    (to the right) before y (down)."""
    events: NDArray[np.void]
    """``[E]`` of `EVENT`, scene by scene in the order of time; microseconds since the scene's start."""


def scenes(count: int, seed: int, side: int, windows: int, speed: float) -> Scenes:
    """Draw scenes.

    Parameters
    ----------
    count : of scenes; the first of more scenes are the same.
    seed : another one gives other scenes.
    side : pixels in a row and in a column.
    windows : of 50 ms.
    speed : most that a layer moves along x and along y from one frame to the next, in pixels.

    Raises
    ------
    ValueError
        If a number is not above 0.
    """
    if min(count, side, windows) < 1 or speed <= 0:
        raise ValueError(f"nothing to see in {count} scenes of {side} pixels and {windows} windows at speed {speed}")
    drawn = [_drawn(np.random.RandomState([seed, index]), side, speed) for index in range(count)]
    ground, disc, radius = zip(*drawn, strict=True)
    layers = [Layer(*map(np.stack, zip(*several, strict=True))) for several in (ground, disc)]
    return Scenes(side, windows, layers[0], layers[1], np.array(radius))


def _drawn(random: np.random.RandomState, side: int, speed: float) -> tuple[Layer, Layer, float]:
    """Draw ground, disc and radius of one scene."""
    middle = side / 2
    layers = []
    for spread in (0.0, side / 4):
        noise = random.random_sample((len(OCTAVES), LATTICE, LATTICE))
        velocity = (2 * random.random_sample(2) - 1) * speed
        turn, zoom = (2 * random.random_sample(2) - 1) * (TURN, ZOOM)
        centre = middle + (2 * random.random_sample(2) - 1) * spread
        layers.append(Layer(noise, velocity, np.array([[zoom, -turn], [turn, zoom]]), centre))
    low, high = RADII
    return layers[0], layers[1], low + (high - low) * random.random_sample()


def frame_of(seen: Scenes, time: float) -> Field:
    """Return the brightness of every pixel's centre at a time, ``[N, side, side]``, between `DARK` and `BRIGHT`."""
    ground, disc, covered = _looked_at(seen, time)
    noise = np.stack([seen.ground.noise, seen.disc.noise])
    shade = _texture(noise, covered.astype(np.int64), np.where(covered[:, None], disc, ground))
    return DARK + (BRIGHT - DARK) * shade


def flow_of(seen: Scenes, start: float, stop: float) -> Field:
    """Return the way from `start` to `stop` of what each pixel shows at `start`, ``[N, 2, side, side]`` in pixels."""
    ground, disc, covered = _looked_at(seen, start)
    return (stop - start) * np.where(covered[:, None], _velocity(seen.disc, disc), _velocity(seen.ground, ground))


def film(seen: Scenes, camera: Camera, looks: int) -> Filmed:
    """Return frames, flow and events of scenes.

    Parameters
    ----------
    seen : the scenes.
    camera : that looks at them.
    looks : of the camera in a window; between two of them brightness is linear in time.
    """
    count, side, windows = len(seen), seen.side, seen.windows
    frames = np.empty((count, windows + 1, side, side), dtype=np.uint8)
    flow = np.empty((count, windows, 2, side, side), dtype=np.float32)
    events = []
    for start in range(0, count, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        some = seen.part(part)
        found = camera.watch(_views(some, looks, frames[part]), WINDOW_US // looks)
        scene, y, x = np.unravel_index(found.place, (len(some), side, side))
        told = np.empty(len(found.t), dtype=EVENT)
        for name, values in (("scene", scene + start), ("t", found.t), ("x", x), ("y", y), ("p", found.p)):
            told[name] = values
        # Stable, and by place last: events of one scene and microsecond stand in the order of the pixels.
        events.append(told[np.lexsort((found.place, found.t, scene))])
        for window in range(windows):
            flow[part, window] = flow_of(some, window, window + 1)
    return Filmed(frames, flow, np.concatenate(events))


def _views(seen: Scenes, looks: int, frames: NDArray[np.uint8]) -> Iterator[Field]:
    """Yield what the camera sees, the start included; every window's end is written into `frames`."""
    for look in range(seen.windows * looks + 1):
        view = frame_of(seen, look / looks)
        if look % looks == 0:
            frames[:, look // looks] = np.floor(view * (255 / BRIGHT) + 0.5).astype(np.uint8)
        yield view


def _looked_at(seen: Scenes, time: float) -> tuple[Field, Field, NDArray[np.bool_]]:
    """Return which point of ground and disc each pixel shows, ``[N, 2, side, side]``, and where the disc covers it."""
    ground, disc = (_points(layer, seen.side, time - seen.windows / 2) for layer in (seen.ground, seen.disc))
    away = disc - seen.disc.centre[:, :, None, None]
    covered = away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1] <= (seen.radius * seen.radius)[:, None, None]
    return ground, disc, covered


def _points(layer: Layer, side: int, time: float) -> Field:
    """Return the point of a layer that each pixel shows at `time` from half time, where the point is at half time.

    A point q is at ``c + (I + time M)(q - c) + time v``; this is solved for q.
    """
    at = np.arange(side) + 0.5
    vx, vy = (layer.velocity * time).T[:, :, None, None]
    cx, cy = layer.centre.T[:, :, None, None]
    x, y = at[None, None, :] - cx - vx, at[None, :, None] - cy - vy
    a, b, c, d = (layer.change * time).reshape(-1, 4).T[:, :, None, None]
    a, d = a + 1, d + 1
    scale = a * d - b * c
    return np.stack([cx + (d * x - b * y) / scale, cy + (a * y - c * x) / scale], axis=1)


def _velocity(layer: Layer, points: Field) -> Field:
    """Return the velocity of points of a layer, ``[N, 2, side, side]``, in pixels a window."""
    away = points - layer.centre[:, :, None, None]
    change, velocity = layer.change[:, :, :, None, None], layer.velocity[:, :, None, None]
    return velocity + change[:, :, 0] * away[:, None, 0] + change[:, :, 1] * away[:, None, 1]


def _texture(noise: Field, layer: NDArray[np.int64], points: Field) -> Field:
    """Return the brightness of points of the textures ``noise[layer]``, 0 to 1: the weighted sum of their octaves."""
    total = np.zeros(points.shape[:1] + points.shape[2:])
    scene = np.arange(len(points))[:, None, None]
    for octave, (pitch, weight) in enumerate(OCTAVES):
        cells = points / pitch
        floor = np.floor(cells)
        share = cells - floor
        share = share * share * (3 - 2 * share)
        left, above = floor.astype(np.int64).transpose(1, 0, 2, 3) % LATTICE
        right, below = (left + 1) % LATTICE, (above + 1) % LATTICE
        sx, sy = share[:, 0], share[:, 1]
        corners = [noise[layer, scene, octave, row, column] for row in (above, below) for column in (left, right)]
        upper, lower = (one * (1 - sx) + other * sx for one, other in (corners[:2], corners[2:]))
        total += weight * (upper * (1 - sy) + lower * sy)
    # A sum of noises crowds around the middle; what is spread beyond the range is flat.
    return np.clip(0.5 + SPREAD * (total - 0.5), 0.0, 1.0)
