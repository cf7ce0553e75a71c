"""``spikeboard run --require-quiet``: refuses before anything is measured, says why, and goes on where it is quiet."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import spikeboard

from harness.execute import quiet
from harness.measure.neighbours import Load
from harness.results.store import Store

ONE = [
    *("run", "--suite", "spikes", "--task", "digits", "--neuron", "lif", "--method", "bptt", "--topology", "mlp"),
    *("--budget", "smoke", "--backend", "eager", "--seed", "0", "--store", "here", "--require-quiet"),
]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> dict[str, Load]:
    """What others take of the processors."""
    found = {"now": Load(0.4, 2, (("make", 77, 0.8),))}
    monkeypatch.setattr(quiet.Watch, "load", lambda _: found["now"])
    monkeypatch.setattr("harness.results.runner.SYSFS", Path("/nonexistent"))
    return found


def test_a_busy_machine_measures_nothing_and_a_quiet_one_does(tmp_path: Path, load: dict[str, Load]) -> None:
    said = spikeboard(tmp_path, *ONE, code=3)
    assert "not quiet, and nothing was measured: 1 reason" in said
    assert "other processes use 40% of its processors (make 77: 0.8)" in said
    assert "wait for them, or end them" in said
    assert not (tmp_path / "here").exists()
    assert "1 cell to measure" in spikeboard(tmp_path, *ONE, "--dry-run")
    load["now"] = Load(0.0, 2)
    said = spikeboard(tmp_path, *ONE)
    assert "the machine is quiet" in said
    assert "does not tell the processors' governor" in said
    (record,) = Store(tmp_path / "here").read().records
    assert record.status == "ok"
    load["now"] = Load(1.0, 2)
    assert "0 cells to measure" in spikeboard(tmp_path, *ONE), "where nothing is to be measured, nothing is disturbed"


def test_a_cluster_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cli.quiet import demand_quiet
    from harness.errors import UserError
    from harness.execute.where import Where

    monkeypatch.setattr("harness.execute.where.require", lambda _: None)
    with pytest.raises(UserError, match="the run would be on others"):
        demand_quiet(Where("cpu", "ray"))
