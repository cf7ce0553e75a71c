"""Every check of a submission's records: the published ones hold, and one figure changed is a line that does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from submitted import changed, checked, failing, line, published, resealed, some, submission

from harness.catalogue.loading import load_registry
from harness.results.record import Record
from harness.submissions.checks import costs, energy, figures, origin, training
from harness.submissions.checks.origin import fingerprints_for
from harness.submissions.manifest import Environment
from harness.submissions.overlay import INSTALLED
from harness.submissions.verdict import Line, Verdict

REGISTRY = load_registry()
EXPECTED = fingerprints_for(REGISTRY, None)


def environment_of(records: Sequence[Record]) -> Environment:
    origins = [record.provenance for record in records]
    return Environment(
        spikeboard=("0.1.0",),
        commits=tuple({one.commit for one in origins}),
        machines=tuple({one.machine.name: one.machine for one in origins}.values()),
        packages=tuple(dict(one.packages) for one in origins),
    )


CHECKS: dict[str, Callable[[Sequence[Record]], Line]] = {
    "figures": lambda records: figures.check_figures(records, REGISTRY),
    "intervals": figures.check_intervals,
    "predictions": training.check_predictions,
    "learning curves": training.check_curves,
    "energy": energy.check_energy,
    "memory": lambda records: costs.check_memory(records, REGISTRY),
    "timings": costs.check_timings,
    "splits": lambda records: origin.check_splits(records, published()),
    "seeds": origin.check_seeds,
    "commands": origin.check_command,
    "environment": lambda records: origin.check_environment(records, environment_of(some())),
    "machine": lambda records: origin.check_machine(records, published()),
    "commit": lambda records: origin.check_commit(records, INSTALLED),
    "versions and code": lambda records: origin.check_code(records, REGISTRY, EXPECTED),
}


@pytest.mark.parametrize("check", sorted(CHECKS.keys() - {"environment", "commit"}))
def test_all_published_records_hold(check: str) -> None:
    found = CHECKS[check](published())
    assert found.verdict is Verdict.HOLDS, found.causes
    assert found.check == check


@pytest.mark.parametrize("check", sorted(CHECKS.keys() - {"commit", "environment"}))
def test_without_records_nothing_can_be_told(check: str) -> None:
    assert CHECKS[check](()).verdict is Verdict.UNTOLD


def of(suite: str) -> Record:
    return next(one for one in some() if one.cell.suite == suite and one.cell.backend == "eager")


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return what puts `value` (or what a function makes of the old one) to a place of a record."""

    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value(data[path[-1]]) if callable(value) else value

    return change


def times(factor: float) -> Callable[[float], float]:
    return lambda value: value * factor


def metric(name: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for field, value in fields.items():
            old = data["metrics"][name][field]
            data["metrics"][name][field] = value(old) if callable(value) else value

    return change


def fewer_missed(data: dict[str, Any]) -> None:
    """State one missed sample less, with the interval and the curves that go with it."""
    from harness.results.stats import wilson_interval

    error = data["metrics"]["error_fraction"]
    missed = round(error["value"] * error["n"]) - 1
    low, high = wilson_interval(missed, error["n"])
    error |= {"value": missed / error["n"], "low": low, "high": high}


def renamed(data: dict[str, Any]) -> None:
    data["metrics"]["accuracy"] = data["metrics"].pop("error_fraction")


FORGED = [
    ("figures", "accuracy", renamed, "accuracy is no figure of the suite accuracy"),
    ("figures", "accuracy", metric("error_fraction", exact=True), "error_fraction is said to be exact, and is not"),
    ("figures", "memory", put("metrics", value={}), "it has no figure"),
    ("intervals", "accuracy", metric("error_fraction", value=times(0.9)), "is no whole number of 359 test samples"),
    ("intervals", "accuracy", metric("error_fraction", low=times(1.05)), "has the interval"),
    ("intervals", "accuracy", metric("error_fraction", n=100_000), "is no whole number of 100000"),
    ("intervals", "accuracy", metric("error_fraction", low=None, high=None), "has no interval, though"),
    ("intervals", "memory", metric("peak_bytes", low=times(0.5)), "has the interval"),
    ("intervals", "throughput", metric("train_step_seconds", high=times(1.2)), "has the interval"),
    ("intervals", "throughput", metric("train_step_seconds", value=times(0.5)), "is not the median of its samples"),
    ("intervals", "throughput", metric("train_step_seconds", covers=None), "does not say what it covers"),
    ("predictions", "accuracy", fewer_missed, "its predictions miss"),
    ("predictions", "accuracy", put("predictions", value=None), "has no predictions"),
    ("predictions", "accuracy", put("predictions", "packed", value="AAAA"), "cannot be unpacked"),
    ("predictions", "accuracy", put("details", "test_samples", value=10_000), "says that it tested 10000 samples"),
    ("predictions", "accuracy", put("predictions", "samples", value=358), "hold"),
    ("learning curves", "accuracy", fewer_missed, "error_fraction is"),
    ("learning curves", "accuracy", metric("best_epoch", value=1.0), "and its curve says"),
    ("learning curves", "accuracy", metric("optimizer_updates", value=times(2)), "its epochs add up to"),
    ("learning curves", "accuracy", put("series", value={}), "lacks a learning curve"),
    ("learning curves", "accuracy", put("details", "updates_by_epoch", value=[]), "counts updates of 0 epochs"),
    ("energy", "spikes", metric("energy_joules", value=times(0.8)), "energy_joules is"),
    ("energy", "spikes", metric("firing_rate", value=times(0.8)), "firing_rate is"),
    ("energy", "spikes", metric("training_energy_joules", value=times(0.8)), "training_energy_joules is"),
    ("energy", "spikes", put("details", "energy_constants", "add_joules", value=1e-13), "takes add_joules to be"),
    ("energy", "spikes", put("details", "neuron_updates", 0, "joules", value=times(0.1)), "is said to cost"),
    ("energy", "spikes", put("details", "layers", value=[]), "zip() argument 2 is longer"),
    ("energy", "spikes", put("details", value={}), "its details do not hold the counts of its figures"),
    ("energy", "spikes", put("details", "synapses", value="none"), "its details do not hold the counts"),
    ("memory", "memory", metric("saved_bytes", value=times(0.5)), "saved_bytes is"),
    ("memory", "memory", metric("saved_bytes_per_time_step", value=times(0.5)), "its points give"),
    ("memory", "memory", metric("model_bytes", value=1000.0), "the weights of its shapes take"),
    ("memory", "memory", metric("state_bytes", value=0.5), "is no whole number of bytes"),
    ("memory", "memory", metric("live_bytes", value=8.0), "keeps more bytes for the backward pass"),
    ("memory", "memory", put("series", value={}), "has no saved_bytes over T"),
    ("memory", "memory", put("details", "batch_size", value=None), "does not say which batch"),
    ("timings", "throughput", metric("train_samples_per_second", samples=lambda old: [2 * x for x in old]), "is not"),
    ("timings", "throughput", put("details", "neurons", value=times(2)), "is not"),
    ("timings", "throughput", put("provenance", "duration_seconds", value=1e-3), "timed"),
    ("splits", "accuracy", put("details", "split_digest", value="0" * 64), "another digest of its split"),
    ("splits", "accuracy", put("predictions", "digest", value="0" * 64), "another digest of its test samples"),
    ("commands", "accuracy", put("provenance", "command", value="spikeboard run"), "the command of something else"),
    ("commands", "accuracy", put("provenance", "threads", value=64), "ran with 64 threads"),
    ("commands", "accuracy", put("provenance", "duration_seconds", value=0.0), "took no time"),
    ("environment", "accuracy", put("provenance", "machine", "os", value="Plan 9"), "does not describe"),
    ("environment", "accuracy", put("provenance", "packages", "torch", value="1.0"), "does not list"),
    ("environment", "accuracy", put("provenance", "commit", value="0" * 40), "at a commit that the environment"),
    ("machine", "accuracy", put("provenance", "machine", "cpu", value="Z80"), "which is another in the published"),
    ("machine", "accuracy", put("provenance", "machine", "physical_cores", value=64), "of 64 cores"),
    ("machine", "accuracy", put("cell", "threads", value=64), "ran with 64 threads on a machine of"),
    ("machine", "accuracy", put("cell", "device", value="cuda"), "is of a GPU and does not describe it"),
    ("commit", "accuracy", put("provenance", "dirty", value=True), "with uncommitted changes"),
    ("versions and code", "accuracy", put("provenance", "suite_version", value=2), "is of version 2 of its suite"),
    ("versions and code", "accuracy", put("provenance", "code_hash", value="0" * 64), "it was edited"),
    ("versions and code", "accuracy", put("provenance", "inputs", value=None), "does not name the inputs"),
    ("versions and code", "accuracy", put("provenance", "inputs", "neuron", value="0" * 12), "it was edited"),
    ("versions and code", "accuracy", put("provenance", "packages", "torch", value="2.9.0"), "another packages"),
    ("versions and code", "accuracy", put("cell", "neuron", value="psn"), "neuron, neuron settings than lies here"),
]


@pytest.mark.parametrize(("check", "suite", "change", "said"), FORGED, ids=[f"{one[0]}: {one[3]}" for one in FORGED])
def test_what_was_changed_does_not_hold(
    check: str, suite: str, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    assert CHECKS[check]([of(suite)]).verdict is Verdict.HOLDS or check == "commit"
    found = CHECKS[check]([changed(of(suite), change)])
    assert found.verdict is Verdict.FAILS, found.text
    assert any(said in cause for cause in found.causes), found.causes


def test_a_seed_that_is_the_copy_of_another_is_named() -> None:
    copy = changed(of("accuracy"), put("cell", "seed", value=77))
    found = origin.check_seeds([of("accuracy"), copy])
    assert found.verdict is Verdict.FAILS
    assert "has exactly the losses of seed" in found.text


def test_a_split_that_nobody_published_cannot_be_told() -> None:
    found = origin.check_splits([of("accuracy")], ())
    assert found.verdict is Verdict.UNTOLD
    assert "no published record of digits" in found.text


def test_commits_of_elsewhere_and_of_nowhere_cannot_be_told(tmp_path: Path) -> None:
    strange = changed(of("accuracy"), put("provenance", "commit", value="1" * 40))
    installed = changed(of("accuracy"), put("provenance", "commit", value=None))
    for record, root, said in (
        (strange, INSTALLED, "111111111111 is not known here"),
        (installed, INSTALLED, "with an installed Spikeboard"),
        (strange, tmp_path, "no git repository"),
    ):
        if root is INSTALLED and not (INSTALLED / ".git").exists():
            continue
        found = origin.check_commit([record], root)
        assert found.verdict is Verdict.UNTOLD
        assert said in found.text


def test_a_whole_submission_of_published_records_holds(tmp_path: Path) -> None:
    report = checked(submission(tmp_path / "made"))
    assert failing(report) == set(), [one for one in report.lines if one.verdict is Verdict.FAILS]
    untold = {one.check for one in report.lines if one.verdict is Verdict.UNTOLD}
    assert untold - {"commit"} == {"isolation", "exact figures", "test errors"}


def twice(made: Path) -> None:
    path = next((made / "records" / "amd-epyc-2c" / "spikes").rglob("*.json*"))
    text = path.read_text()
    path.write_text(re.sub('("status": ?"ok"),', r"\1,\1,", text))


def not_a_number(made: Path) -> None:
    path = next((made / "records" / "amd-epyc-2c" / "spikes").rglob("*.json*"))
    path.write_text(re.sub('"input_operations_kept": ?0.0', '"input_operations_kept":NaN', path.read_text()))


def other_cell(made: Path) -> None:
    path = next((made / "records" / "amd-epyc-2c" / "spikes").rglob("*.json*"))
    path.write_text(re.sub('"seed": ?0', '"seed":9', path.read_text()))


def other_place(made: Path) -> None:
    source = next((made / "records" / "amd-epyc-2c" / "spikes").rglob("*.json*"))
    target = made / "records" / "amd-epyc-2c" / "memory" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target.with_name(f"elsewhere{source.suffix}"))


def doubled(made: Path) -> None:
    path = next((made / "records").rglob("*.jsonl"))
    path.write_text(path.read_text() * 2)


def nothing(made: Path) -> None:
    for path in (made / "records").rglob("*.json*"):
        path.unlink()


def foreign(made: Path) -> None:
    (made / "records" / "notes.txt").write_text("hello")


def an_impossible_error(made: Path) -> None:
    path = next((made / "records").rglob("*accuracy/**/*.json*"))
    path.write_text(re.sub('"unit": ?"fraction"', '"unit":"percent"', path.read_text()))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (twice, "has the key 'status' twice in one object"),
        (not_a_number, "holds NaN"),
        (other_cell, "it was edited or is foreign"),
        (other_place, "is in another's place"),
        (doubled, "is a second record of cell"),
        (nothing, "there is no record in it"),
        (foreign, "records/notes.txt is no file of records"),
        (an_impossible_error, "its metric is in 'fraction'"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_files_that_hold_no_sound_records_are_named(tmp_path: Path, harm: Callable[[Path], None], said: str) -> None:
    made = submission(tmp_path / "made")
    harm(made)
    found = line(checked(resealed(made)), "schema and ranges")
    assert found.verdict is Verdict.FAILS
    assert any(said in cause for cause in found.causes), found.causes
