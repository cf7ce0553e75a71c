"""The gate with measured noise, as a runner has it: nights, an alarm that says everything, and its acceptance."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("asv")

from history import Repository, around, cell, figure, git, make_repository, measured_at
from synthetic import LAPTOP, registry
from typer.testing import CliRunner

from harness.asv.noise import Spread, spreads_of, write_noise
from harness.cli import app
from harness.errors import UserError
from harness.paths import ACCEPTED, NOISE
from harness.results.record import Record

NIGHTS, SLOWER_FROM, WITHOUT = 14, 10, 9
"""Commits; the first that is slower; one that has no figure."""
NOISE_OF_RUNS = 0.006
SLOWER, FASTER, STEADY, LAST = "klif", "psn", "lif", "plif"
"""Neurons: 10 % slower, 15 % faster, as ever, and slower in the last night alone."""


def timed(commit: str, neuron: str, seconds: float) -> Record:
    return measured_at(
        commit, cell("throughput", neuron), figure("throughput", "train_step_seconds", seconds, around(seconds))
    )


def nights(repository: Repository) -> Iterator[Record]:
    stream = random.Random(4)
    for number, commit in enumerate(repository.commits):
        for neuron in (SLOWER, FASTER, STEADY, LAST):
            seconds = 2e-3 * (1 + stream.gauss(0, NOISE_OF_RUNS))
            seconds *= 1.10 if neuron == SLOWER and number >= SLOWER_FROM else 1.0
            seconds *= 0.85 if neuron == FASTER and number >= SLOWER_FROM else 1.0
            seconds *= 1.10 if neuron == LAST and number == NIGHTS - 1 else 1.0
            if number != WITHOUT:
                yield timed(commit, neuron, seconds)


def calibration(commit: str) -> list[Spread]:
    stream = random.Random(5)
    runs = [
        [
            timed(commit, neuron, 2e-3 * (1 + stream.gauss(0, NOISE_OF_RUNS)))
            for neuron in (SLOWER, FASTER, STEADY, LAST)
        ]
        for _ in range(12)
    ]
    return spreads_of(runs, registry())


def spikeboard(*words: str, code: int = 0) -> list[str]:
    """Run the command in the current folder and return the lines that were printed."""
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, UserError):
        assert code == 2, done.exception
        return str(done.exception).splitlines()
    assert done.exit_code == code, done.output
    return done.output.splitlines()


GATE = ("asv", "--publish", "--gate", "--store", "store")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = make_repository(tmp_path_factory.mktemp("calibrated") / "clone", NIGHTS)
    made.write(nights(made))
    write_noise(made.root / NOISE, calibration(made.commits[0]))
    return made


def test_an_alarm_says_everything_and_is_accepted_by_one_command(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.root)
    commits = repository.commits
    assert spikeboard("accept", "--reason", "None yet.", code=2)[0].startswith("nothing is published")
    said = spikeboard(*GATE, code=1)
    first, before, between = (commits[place][:10] for place in (SLOWER_FROM, WITHOUT - 1, WITHOUT))
    place = next(number for number, line in enumerate(said) if line.startswith("regression: "))
    assert f"throughput train_step_seconds of {SLOWER} bptt mlp digits quick: 0.00" in said[place]
    assert f" at {first} " in said[place]
    how_much, since, shown, narrowed, accepted_by = (line.strip() for line in said[place + 1 : place + 6])
    assert how_much.startswith("+")
    assert "by the spread of 12 runs of one commit" in how_much
    low, high = (float(word.rstrip("%)")) for word in how_much.split("95 %: ")[1].split(",")[0].split(" to "))
    assert low < 10 < high
    assert since == (
        f"since {first}; the last one before it with a figure is {before}, 1 commit between them without one"
    )
    which = f"--cell '{SLOWER} bptt mlp digits quick' --bench 'throughput\\.Throughput\\.track_train_step_seconds$'"
    assert shown == f"shown by: spikeboard asv --publish {which} --since {before}"
    assert narrowed == f"narrowed down by measuring the middle one: spikeboard asv '{between}^!' {which}"
    assert accepted_by == f"accepted by: spikeboard accept {which} --reason '...'"
    assert sum(line.startswith("regression: ") for line in said) == 1
    assert [line for line in said if line.startswith(f"improvement: throughput train_step_seconds of {FASTER} ")]
    assert [line for line in said if line.startswith(f"watch: throughput train_step_seconds of {LAST} ")]
    assert any(line.startswith("judged by measured noise: 4 figures") for line in said)

    said = spikeboard("accept", "--cell", f"{SLOWER} *", "--reason", "Checks its input now.")
    assert said[0].startswith(f"accepted: regression, throughput train_step_seconds of {SLOWER} ")
    (line,) = ACCEPTED.read_text().splitlines()
    kept = json.loads(line)
    assert (kept["commit"], kept["machine"]) == (commits[SLOWER_FROM], LAPTOP.name)
    assert kept["reason"] == "Checks its input now."
    assert kept["ratio"] == pytest.approx(1.1, abs=0.02)
    said = spikeboard(*GATE, code=0)
    assert not [line for line in said if line.startswith("regression: ")]
    assert [line for line in said if line.startswith("improvement: ")], "that was not accepted"
    again = spikeboard("accept", "--cell", f"{SLOWER} *", "--reason", "Once more.", code=2)
    assert again[0].startswith("nothing has changed that could be accepted")


@pytest.mark.slow
def test_a_broken_file_of_noise_is_no_green_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_repository(tmp_path / "clone", 2)
    made.write(timed(commit, STEADY, 2e-3) for commit in made.commits)
    (path,) = write_noise(made.root / NOISE, calibration(made.commits[0]))
    path.write_text(path.read_text()[:-20])
    monkeypatch.chdir(made.root)
    said = " ".join(spikeboard(*GATE, code=2))
    assert f"{NOISE / path.name}, line 4: " in said
    assert git(made.root, "status", "--short", "--", "reports/asv/results") == ""
