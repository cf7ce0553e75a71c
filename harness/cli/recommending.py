"""``spikeboard recommend`` and ``spikeboard claims``: what to take, and what became of the papers' claims."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli._options import MachineName, Stores
from harness.terminal import say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command("recommend")(recommend)
    app.command("claims")(claims)


def recommend(
    data: Annotated[str, typer.Option(help="Kind of data: sound, events, images, sequences or memory.")],
    choose: Annotated[str, typer.Option(help="What to choose: neuron or method.")] = "neuron",
    energy: Annotated[
        str | None, typer.Option(help="Most energy of an inference, such as 0.2uJ; 0.5x is half of the baseline's.")
    ] = None,
    memory: Annotated[str | None, typer.Option(help="Most peak memory while training, such as 4MiB, or 1x.")] = None,
    step_time: Annotated[str | None, typer.Option(help="Longest training step, such as 3ms, or 1x.")] = None,
    inference: Annotated[str | None, typer.Option(help="Longest inference of a batch, such as 500us, or 1x.")] = None,
    parameters: Annotated[str | None, typer.Option(help="Most parameters of the network, such as 20k, or 1x.")] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Neurons that go step by step; methods whose memory T does not move.")
    ] = False,
    causal: Annotated[bool, typer.Option("--causal", help="Neurons that see no later input.")] = False,
    binary: Annotated[bool, typer.Option("--binary", help="Neurons that emit nothing but 0 and 1.")] = False,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Neurons that draw nothing.")] = False,
    machine: MachineName = None,
    store: Stores = None,
) -> None:
    """Say which neuron or training method to take: one sentence from current records, and one on what is not known."""
    from harness.catalogue.boards import find_board
    from harness.catalogue.kinds import KINDS
    from harness.catalogue.loading import load_registry
    from harness.cli._tables import current_tables
    from harness.errors import UserError
    from harness.report.quantities import read_limit
    from harness.report.recommend_view import not_known, sentence
    from harness.results.questions import Question
    from harness.results.recommend import Chooser
    from reference_impls.names import unknown_message

    if data not in KINDS:
        kinds = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
        raise UserError(unknown_message("kind of data", data, list(KINDS)), kinds)
    if choose not in ("neuron", "method"):
        raise UserError(unknown_message("choice", choose, ["neuron", "method"]))
    given = {"energy": energy, "memory": memory, "step": step_time, "inference": inference, "parameters": parameters}
    wanted = {"online": online, "causal": causal, "binary": binary, "deterministic": deterministic}
    question = Question(
        data,
        "neuron" if choose == "neuron" else "method",
        tuple(read_limit(cost, text) for cost, text in given.items() if text is not None),
        tuple(name for name, asked in wanted.items() if asked),  # type: ignore[misc]
    )
    registry = load_registry()
    tables = current_tables(store, find_board(f"{choose}s"), registry, machine)
    answer = Chooser(tables, registry).answer(question)
    say(sentence(answer))
    say(not_known(answer, registry), fg="yellow")
    if answer.bundle is None:
        raise UserError(
            "there are no current records to answer from",
            "spikeboard status says what is stale; spikeboard run --preset standard measures",
        )


def claims(
    output_format: Annotated[
        str | None, typer.Option("--format", help="md, latex, csv or html. \\[default: for the terminal]")
    ] = None,
    store: Stores = None,
) -> None:
    """Print what papers claim, what is measured of it, and the verdicts, all computed from current records."""
    from harness.cli.deciding import print_claims

    print_claims(store, output_format)
