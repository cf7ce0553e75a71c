"""A stand-in for the command: the options are held against the real ones, and what is left behind is small.

With STANDIN_REAL it is the real one, on a processor and a single row.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

WORDS = sys.argv[1:]
LITTLE = [
    *("--device", "cpu", "--budget", "smoke", "--task", "digits", "--neuron", "lif", "--method", "bptt"),
    *("--topology", "mlp", "--backend", "eager"),
]


def real(words: list[str]) -> int:
    return subprocess.run([sys.executable, "-c", "from harness.cli import main; main()", *words]).returncode


def check(words: list[str]) -> None:
    """Read the words as the command would; what it does not know ends with its message and code 2."""
    import click
    from typer.main import get_command

    from harness.cli import app

    group = get_command(app)
    try:
        with group.make_context("spikeboard", list(words)) as context:
            name, verb, rest = group.resolve_command(context, [*context._protected_args, *context.args])
            verb.make_context(name, rest, parent=context)
    except click.ClickException as error:
        print(error.format_message())
        sys.exit(2)


def measure(store: Path, is_slow: bool) -> None:
    """Leave records."""
    sys.path.insert(0, os.environ["STANDIN_TESTS"])
    from synthetic import record

    from harness.catalogue.cell import Cell
    from harness.results.record import Metric
    from harness.results.store import Store

    seconds = 2.0 if is_slow else 1.0
    cell = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)
    metric = Metric(
        value=seconds, unit="seconds", direction="lower", low=seconds * 0.99, high=seconds * 1.01, n=9
    )  # fmt: skip
    for neuron in ("lif", "if"):
        Store(store).write(record(replace(cell, neuron=neuron), metrics={"train_step_seconds": metric}))


with Path(os.environ["STANDIN_LOG"]).open("a") as log:
    log.write(json.dumps(["spikeboard", *WORDS]) + "\n")
check(WORDS)
STORE = Path(WORDS[WORDS.index("--store") + 1]) if "--store" in WORDS else Path("reports/runs")
if os.environ["STANDIN_REAL"]:
    if WORDS[0] in ("run", "alternate"):
        kept = [word for word in WORDS if word not in ("--require-quiet", "--device", "cuda")]
        sys.exit(real([*kept, *LITTLE]))
    if WORDS[0] == "asv":  # to measure a commit, asv makes an environment of gigabytes
        WORDS = ["asv", "--publish", *(word for word in WORDS[1:] if word.startswith("--") and word != "--publish")]
    sys.exit(real(WORDS))
match WORDS[0]:
    case "run":
        measure(STORE, Path("slow.txt").exists())
    case "alternate":  # a tree that says so is slow
        for side, commit in zip(("before", "after"), WORDS[1:3], strict=True):
            said = subprocess.run(["git", "cat-file", "-e", f"{commit}:slow.txt"], stderr=subprocess.DEVNULL)
            measure(STORE / side, said.returncode == 0)
    case "asv":
        for made in ("reports/asv/results/machine.json", "reports/site/asv/index.html"):
            Path(made).parent.mkdir(parents=True, exist_ok=True)
            Path(made).write_text("{}")
    case "report":
        Path("reports/site").mkdir(parents=True, exist_ok=True)
        Path("reports/site/index.html").write_text("<html></html>")
    case "verify-submission":
        sys.exit(1 if "wrong" in WORDS[1] else 0)
    case _:
        sys.exit(real(WORDS))
