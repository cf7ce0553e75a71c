"""``spikeboard check``: what is chosen, what the table says, and how the command ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import spikeboard
from synthetic import record

from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.golden import SURROGATES as GOLDEN_SURROGATES
from harness.golden import VECTORS
from harness.planning.checking import EntryVerdict, check_rows, plan_check, unanswered
from harness.planning.plan import Plan
from harness.results.record import Record
from harness.results.store import Store

REGISTRY = load_registry()
COMMAND = [sys.executable, "-c", "from harness.cli import main; main()", "check"]


def planned(*names: str, backends: tuple[str, ...] = ()) -> Plan:
    return plan_check(REGISTRY, names, backends, Store(Path("nowhere")), "cpu")


def records_of(plan: Plan, broken: str = "") -> list[Record]:
    """Every planned cell ended well, but for the clause `broken` of neurons under eager."""
    found = []
    for one in plan.todo:
        names = ["shapes", "golden"] if one.cell.backend == "eager" else ["equals-eager"]
        checks = [
            {"name": name, "promise": "", "passed": name != broken, "problem": "it is off" if name == broken else ""}
            for name in names
        ]
        details = {"checks": checks, "golden_cases": 3}
        found.append(record(one.cell).model_copy(update={"details": details}))
    return found


def run(*arguments: str, code: int = 0) -> str:
    """Check in a process of its own: it starts others."""
    result = subprocess.run([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == code, result.stdout
    return re.sub(r"[ \t]+", " ", result.stdout)


def test_everything_is_chosen_and_what_cannot_run_says_why() -> None:
    plan = planned()
    rows = {row.name: row for row in check_rows(plan, records_of(plan), REGISTRY)}
    assert set(rows) == {GOLDEN_SURROGATES, *REGISTRY.neurons, *REGISTRY.methods, *REGISTRY.peers}
    assert not any(row.failed for row in rows.values())
    assert rows["lif"].verdicts["golden"] == EntryVerdict("passed", 3)
    assert rows["lif"].verdicts["fused-numba"].state == "passed"
    assert rows["lif"].verdicts["fused-cupy"].state == "unsupported"
    assert "has none" in rows["psn"].verdicts["fused-numba"].problems[0]
    assert rows["ottt-a"].verdicts["contract"].state == "passed", "impossible on one network, kept on the other"
    assert set(rows["ide"].verdicts) == {"golden", "contract"}


def test_entries_and_backends_are_chosen_by_pattern() -> None:
    cells = [one.cell for one in planned("psn", "ottt-*", backends=("eager",)).todo]
    assert {cell.neuron for cell in cells if cell.method == "-"} == {"psn"}
    assert {cell.method for cell in cells} == {"-", *(name for name in REGISTRY.methods if name.startswith("ottt-"))}
    assert {cell.backend for cell in cells} == {"eager"}
    with pytest.raises(UserError, match="did you mean 'psn'"):
        planned("psnn")


@pytest.mark.parametrize(
    ("broken", "column"), [("golden", "golden"), ("shapes", "contract"), ("equals-eager", "compiled")]
)
def test_a_broken_clause_fails_its_column_only(broken: str, column: str) -> None:
    plan = planned("lif", backends=("eager", "compiled"))
    (row,) = check_rows(plan, records_of(plan, broken), REGISTRY)
    assert row.failed
    assert [name for name, verdict in row.verdicts.items() if verdict.state == "failed"] == [column]
    assert row.verdicts[column].problems == ("shapes: it is off" if column == "contract" else "it is off",)


def test_what_crashed_or_was_not_run_is_no_success() -> None:
    plan = planned("lif", backends=("eager",))
    (crashed,) = check_rows(plan, [record(plan.todo[0].cell, "crashed", reason="Killed.")], REGISTRY)
    assert crashed.verdicts["contract"] == EntryVerdict("failed", problems=("Killed.",))
    (missing,) = check_rows(plan, [], REGISTRY)
    assert missing.failed
    assert missing.verdicts["contract"].state == "missing"


def test_files_that_nothing_implements_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"neuron": "lif", "cases": []}')
    (tmp_path / "b.json").write_text('{"slug": "no-such-method", "cases": []}')
    assert unanswered(tmp_path) == {"no-such-method": [tmp_path / "b.json"]}
    assert unanswered(VECTORS) == {}
    (tmp_path / "c.json").write_text("[1]")
    with pytest.raises(UserError, match=r"c\.json: not a golden file"):
        unanswered(tmp_path)


def test_the_command_prints_a_table_and_ends_well() -> None:
    said = run("if", "surrogates", "spikeboard-lif", "psn", "--backend", "eager", "--backend", "fused-numba")
    assert re.search(r"if neuron ok \(\d+ cases\) ok \(\d+ clauses\) ok", said), said
    assert re.search(r"surrogates surrogates ok \(\d+ cases\)", said), said
    assert "fused-numba replaces a loop over T" in said
    assert "4 entries pass." in said


def test_vectors_of_another_folder_are_run_in_place_of_ours(tmp_path: Path) -> None:
    content = json.loads((VECTORS / "neurons/lif-decay-input.json").read_text())
    (tmp_path / "kept-back.json").write_text(json.dumps(content))
    (tmp_path / "stranger.json").write_text(json.dumps(content | {"neuron": "not-here"}))
    broken = json.loads((VECTORS / "neurons/if.json").read_text())
    first = broken["cases"][0]
    first["spikes"][0][0] = 1 - first["spikes"][0][0]
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    said = run("if", "lif", "psn", "--backend", "eager", "--vectors", str(tmp_path), code=1)
    assert f"lif neuron ok ({len(content['cases'])} cases)" in said
    assert "psn neuron – ok" in said
    assert "nothing here implements 'not-here'" in said
    assert "if, golden: if, case" in said
    assert "spikes differs by up to 1.0" in said
    assert "1 of 3 entries fail: spikeboard check if" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to check"),
        (["lif", "--all"], "say what to check"),
        (["liff"], "did you mean 'lif'"),
        (["lif", "--backend", "compild"], "did you mean 'compiled'"),
        (["lif", "--vectors", "/nowhere"], "no golden files"),
        (["lif", "--device", "cuda"], "no CUDA device"),
    ],
)
def test_mistakes_end_with_what_to_do(arguments: list[str], message: str, tmp_path: Path) -> None:
    said = spikeboard(tmp_path, "check", *arguments, code=2)
    assert message in re.sub(r"\s+", " ", said)
    assert "Traceback" not in said


def test_ctrl_c_ends_it_with_what_was_found() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--all", "--backend", "eager", "--slots", "1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().lstrip("[ ").startswith("1/")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "interrupted;" in said
    assert "not run" in said
