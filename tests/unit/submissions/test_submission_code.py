"""A stranger's implementation: read by its text, never imported, held against the gate; and what it may not bring."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from submitted import ALIEN, as_neuron, changed, checked, failing, line, published, resealed, some, submission

from harness.catalogue.cell import NOT_APPLICABLE
from harness.catalogue.loading import load_registry
from harness.results.record import Record
from harness.submissions.checks.origin import fingerprints_for
from harness.submissions.manifest import CODE, Implementation
from harness.submissions.overlay import Overlay, code_problems, overlay
from harness.submissions.sources import new_sources
from harness.submissions.verdict import Verdict

PLACE, MODULE, NAME = "alien_package/alien.py", "alien_package.alien", "alien-lif"
WHO = Implementation(module=MODULE, kind="neuron", name=NAME, rows=(NAME,))
FILES = {"alien_package/__init__.py": "", PLACE: ALIEN.format(name=NAME, more="")}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overlay]:
    code = tmp_path_factory.mktemp("alien")
    for name, text in FILES.items():
        (code / name).parent.mkdir(exist_ok=True)
        (code / name).write_text(text)
    with overlay(code, {name: len(text) for name, text in FILES.items()}, (WHO,)) as found:
        yield found


@pytest.fixture(scope="module")
def records(sources: Overlay) -> list[Record]:
    """Records of the alien neuron: accuracy and its gate, as LIF's were, and those of BPTT as they are."""
    expected = fingerprints_for(sources.registry, sources.root)
    wanted = ("accuracy", "conformance", "memory")
    found = [one for one in some() if one.cell.suite in wanted and one.cell.backend in ("eager", NOT_APPLICABLE)]
    return [as_neuron(one, NAME, expected) if one.cell.neuron == "lif" else one for one in found]


def test_an_implementation_is_read_and_never_imported(tmp_path: Path, records: list[Record]) -> None:
    trace = tmp_path / "was-imported"
    files = {**FILES, PLACE: FILES[PLACE] + f'\n\nopen({str(trace)!r}, "w").write("imported")\n'}
    report = checked(submission(tmp_path / "made", records, files, (WHO,)))
    assert not trace.exists()
    assert not any(name.startswith("alien_package") for name in sys.modules)
    # What it does on import is code that its figures rest on: these were measured without it.
    assert "another neuron than lies here" in line(report, "versions and code").text


def test_a_whole_one_holds(tmp_path: Path, records: list[Record]) -> None:
    report = checked(submission(tmp_path / "made", records, FILES, (WHO,)))
    assert failing(report) == set(), [one for one in report.lines if one.verdict is Verdict.FAILS]
    assert NAME in line(report, "implementations").text
    assert "no numbers of its authors" not in line(report, "gate").text  # LIF's record says that it was compared


def test_a_changed_source_is_not_the_one_that_was_measured(tmp_path: Path, records: list[Record]) -> None:
    files = {**FILES, PLACE: FILES[PLACE].replace('"""As LIF."""\n', '"""As LIF."""\n\n    later = 1\n')}
    found = line(checked(submission(tmp_path / "made", records, files, (WHO,))), "versions and code")
    assert found.verdict is Verdict.FAILS
    assert "another neuron" in found.text


def test_without_its_gate_nothing_of_it_holds(tmp_path: Path, records: list[Record]) -> None:
    alone = [one for one in records if one.cell.suite != "conformance"]
    report = checked(submission(tmp_path / "made", alone, FILES, (WHO,)))
    assert failing(report) == {"gate"}
    assert "has no passed gate" in line(report, "gate").text


def test_a_gate_that_failed_or_asked_less_is_named(tmp_path: Path, records: list[Record]) -> None:
    def failed(data: dict) -> None:
        data["details"]["checks"][0]["passed"] = False
        data["metrics"]["failed_checks"]["value"] += 1
        data["metrics"]["passed_checks"]["value"] -= 1

    def fewer(data: dict) -> None:
        del data["details"]["checks"][1:]
        data["metrics"]["passed_checks"]["value"] = 1

    for number, (change, said) in enumerate(((failed, "did not pass the gate"), (fewer, "lists no clause"))):
        forged = [changed(one, change) if one.cell.suite == "conformance" else one for one in records]
        report = checked(submission(tmp_path / str(number), forged, FILES, (WHO,)))
        assert failing(report) == {"gate"}
        assert said in line(report, "gate").text


def test_rows_that_nobody_has_and_names_that_are_taken(tmp_path: Path, records: list[Record]) -> None:
    unknown = checked(submission(tmp_path / "unknown", records))
    assert "records name the neuron 'alien-lif', which neither the project" in line(unknown, "implementations").text
    announced = (WHO.model_copy(update={"rows": ("other",)}),)
    missing = checked(submission(tmp_path / "missing", records, FILES, announced))
    assert "has no neuron 'other'" in line(missing, "implementations").text
    files = {**FILES, PLACE: ALIEN.format(name="plif", more="")}
    taken = checked(
        submission(tmp_path / "taken", some(), files, (WHO.model_copy(update={"name": "plif", "rows": ("plif",)}),))
    )
    assert line(taken, "implementations").verdict is Verdict.FAILS
    assert (
        "already taken" in line(taken, "implementations").text or "is taken by" in line(taken, "implementations").text
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("harness/measure/energy.py", "what measures is not a submission's to change"),
        ("reference_impls/surrogate.py", "what measures is not a submission's to change"),
        ("torch/__init__.py", "would take the place of torch"),
        ("sitecustomize.py", "would take the place of sitecustomize"),
        ("random.py", "would take the place of random"),
        ("own/kernel.so", "is no Python source"),
        ("own/0wn.py", "cannot be imported under its name"),
        ("harness/golden/vectors/neurons/x.py", "what measures is not"),
    ],
)
def test_what_a_submission_may_not_bring(tmp_path: Path, name: str, said: str) -> None:
    made = submission(tmp_path / "made", some(), {name: ""})
    found = line(checked(made), "implementations")
    assert found.verdict is Verdict.FAILS
    assert said in found.text


def test_what_it_may_bring() -> None:
    names = (
        "reference_impls/neurons/x.py",
        "harness/tasks/x.py",
        "harness/golden/vectors/neurons/x.json",
        "spikeboard_entries/x.py",
    )
    assert code_problems(dict.fromkeys(names)) == []


@pytest.mark.parametrize(
    "text",
    ["(" * 5000, "def f(:\n", "\x00", "x = " + "-" * 100_000 + "1\n", "\ufeff\udcff"],
    ids=["parentheses", "syntax", "zero", "nested", "surrogate"],
)
def test_sources_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    made = submission(tmp_path / "made", some(), FILES, (WHO,))
    (made / CODE / PLACE).write_bytes(text.encode("utf-8", "surrogatepass"))
    found = line(checked(resealed(made)), "implementations")
    assert found.verdict is Verdict.FAILS
    assert f"{PLACE} cannot be read as Python" in found.text


def test_a_card_that_is_no_literal_is_named(tmp_path: Path) -> None:
    text = FILES[PLACE].replace('"version": 1', '"version": int("1")')
    found = line(checked(submission(tmp_path / "made", some(), {**FILES, PLACE: text}, (WHO,))), "implementations")
    assert found.verdict is Verdict.FAILS
    assert "must be a plain literal" in found.text


@pytest.mark.slow
def test_a_changed_file_of_the_project_cannot_be_told(tmp_path: Path) -> None:
    place = "reference_impls/neurons/psn.py"
    text = Path(load_registry().neurons["psn"].path).read_text(encoding="utf-8")
    assert (
        line(checked(submission(tmp_path / "same", some(), {place: text})), "implementations").verdict is Verdict.HOLDS
    )
    report = checked(submission(tmp_path / "other", some(), {place: text + "\n\nLATER = 1\n"}))
    assert line(report, "implementations").verdict is Verdict.UNTOLD
    assert "it brings another reference_impls/neurons/psn.py" in line(report, "implementations").text


def test_what_is_new_is_found_with_what_it_rests_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of a package, a module of it that is imported, and the packages around them; nothing of the project."""
    import dataclasses

    from outside import installed

    monkeypatch.syspath_prepend(installed(tmp_path))
    real = load_registry()
    path = tmp_path / "outside_package" / "neurons" / "learned.py"
    row = dataclasses.replace(
        real.neurons["lif"], name="outside-learned", path=path, module="outside_package.neurons.learned"
    )
    registry = dataclasses.replace(real, neurons={**real.neurons, "outside-learned": row})
    [record] = [one for one in some() if one.cell.suite == "spikes"]
    renamed = changed(record, lambda data: data["cell"].update(neuron="outside-learned"))
    found = new_sources([renamed], registry, frozenset())
    assert found.files is not None
    assert sorted(found.files) == [
        "outside_package/__init__.py",
        "outside_package/neurons/__init__.py",
        "outside_package/neurons/learned.py",
        "outside_package/shared/__init__.py",
        "outside_package/shared/membrane.py",
    ]
    assert [one.module for one in found.implementations] == ["outside_package.neurons.learned"]
    assert found.refusals == ()


def test_what_measures_is_not_to_be_changed() -> None:
    changed_files = frozenset({"reference_impls/neurons/lif.py", "harness/suites/accuracy.py", "README.md"})
    found = new_sources(some(), load_registry(), changed_files)
    assert sorted(found.files or {}) == ["reference_impls/neurons/lif.py"]
    assert found.refusals == (
        "the suite accuracy rests on harness/suites/accuracy.py, which is not what the project has",
    )


@pytest.mark.slow
def test_published_records_bring_nothing() -> None:
    found = new_sources(published(), load_registry(), frozenset())
    assert not found.files
    assert found.implementations == ()
