"""Tasks of dense targets: what a network sees of a small film, and what it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.catalogue.loading import load_registry
from harness.conformance import run_checks
from harness.conformance.tasks import TASK_CHECKS, TaskSubject
from harness.data.events import Events
from harness.tasks.common import filmed
from harness.tasks.common.voxels import counted_bins, normalised, shared_bins

REGISTRY = load_registry()
COUNTS = (4, 2, 3)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of nine scenes."""
    monkeypatch.setattr(filmed, "VIDEO", filmed.VIDEO._replace(counts=COUNTS))
    monkeypatch.setattr(filmed, "FLOW", filmed.FLOW._replace(counts=COUNTS))


def events(*rows: tuple[int, int, int, int]) -> Events:
    return Events(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def test_an_event_is_shared_between_the_two_bins_nearest_in_time() -> None:
    some = events((0, 1, 0, 1), (50, 1, 0, 1), (99, 2, 1, 0))
    bins = shared_bins(some, np.array([0, 0, 1]), (2, 3, 2, 4), 100)
    assert bins[0, :, 0, 1].tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert bins[1, :, 1, 2].tolist() == pytest.approx([0.0, -0.02, -0.98])
    assert bins.sum() == pytest.approx(1.0)
    late = shared_bins(events((75, 0, 0, 1)), np.array([0]), (1, 5, 1, 1), 100)
    assert late[0, :, 0, 0].tolist() == pytest.approx([0, 0, 0, 1, 0])


def test_counts_keep_polarities_apart_and_every_event() -> None:
    some = events((0, 0, 0, 1), (9, 0, 0, 1), (10, 1, 1, 0), (99, 1, 1, 0))
    counts = counted_bins(some, np.zeros(4, dtype=np.int64), (1, 10, 2, 2), 100)
    assert counts.shape == (1, 10, 2, 2, 2)
    assert counts[0, 0, 1, 0, 0] == 2
    assert (counts[0, 1, 0, 1, 1], counts[0, 9, 0, 1, 1]) == (1, 1)
    assert counts.sum() == 4


@pytest.mark.parametrize(
    ("row", "said"), [((100, 0, 0, 1), "t of"), ((0, 4, 0, 1), "x of"), ((0, 0, -1, 1), "y of"), ((0, 0, 0, 2), "p of")]
)
def test_events_off_the_window_are_refused(row: tuple[int, int, int, int], said: str) -> None:
    for cut in (shared_bins, counted_bins):
        with pytest.raises(ValueError, match=f"{said} an event lies outside"):
            cut(events(row), np.array([0]), (1, 5, 2, 4), 100)
    with pytest.raises(ValueError, match="window of an event"):
        shared_bins(events((0, 0, 0, 1)), np.array([1]), (1, 5, 2, 4), 100)


def test_only_what_is_not_zero_is_normalised() -> None:
    windows = np.zeros((3, 4, 4), dtype=np.float32)
    windows[0, 0] = [1, 2, 3, 4]
    windows[1, 1, 1] = 7
    found = normalised(windows)
    assert found[0, 0].mean() == pytest.approx(0, abs=1e-6)
    assert found[0, 0].std() == pytest.approx(1, abs=1e-6)
    assert np.count_nonzero(found) == 4
    assert not found[1:].any()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["textures-video", "textures-flow"])
def test_a_task_keeps_its_contract(name: str) -> None:
    outcomes = run_checks(TASK_CHECKS, TaskSubject(name, REGISTRY))
    assert not [outcome for outcome in outcomes if not outcome.passed]
    assert {"images", "networks"} <= {outcome.name for outcome in outcomes}


@pytest.mark.usefixtures("small")
def test_labels_and_inputs_are_those_of_the_film() -> None:
    video, flow = (TaskSubject(name, REGISTRY) for name in ("textures-video", "textures-flow"))
    for subject in (video, flow):
        assert [len(part) for part in subject.split[:3]] == list(COUNTS)
    film = filmed.filmed(filmed.VIDEO)
    torch.testing.assert_close(video.split.test.labels[0, 0, 0], torch.tensor(film.frames[6, 0] / np.float32(255)))
    film = filmed.filmed(filmed.FLOW)
    assert torch.equal(flow.split.test.labels[2, 0], torch.tensor(film.flow[8, 0]))
    mine = film.events[film.events["scene"] == 8]
    counts = flow.split.test.inputs[2]
    assert int(counts.sum()) == len(mine) > 0
    # Channels: OFF and ON of the first half of the window, OFF and ON of the second.
    later = mine["t"] >= 25_000
    on = mine["p"] == 1
    wanted = [int(np.sum(half & sign)) for half in (~later, later) for sign in (~on, on)]
    assert counts.sum((0, 2, 3)).tolist() == wanted
    first = mine[(mine["t"] >= 5_000) & (mine["t"] < 10_000)]
    assert int(counts[1, :2].sum()) == len(first)
