"""The command ``spikeboard``: one module per family of verbs, each imported only when its verb is used.

What a user can mend ends as a message and exit code 2, never as a traceback. Must not import torch: only the
processes that a run starts do.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from typer.models import CommandInfo, TyperInfo

from harness.cli import (
    accepting,
    aiming,
    alternating,
    asv,
    beginning,
    calibrating,
    checking,
    comparing,
    data,
    filling,
    freshness,
    listing,
    measuring,
    recommending,
    reporting,
    running,
    searching,
    submitting,
    tuning,
)
from harness.defaults import defaults
from harness.errors import UserError
from harness.extras import missing_extra
from harness.streams import prepared_streams
from harness.terminal import be, is_verbose, say
from reference_impls.card import CardError
from reference_impls.discovery import LOOSE
from reference_impls.exchange.errors import NirError
from reference_impls.names import UnknownNameError

__all__ = ["app", "main"]

COLLECTED_AFTER = (200_000, 20, 50)
"""When Python looks for garbage: rarely. A command lives for seconds, and its hundred thousand records to its end."""

PANELS = {
    "Begin": ("new", "list", "check", "run", "data"),
    "Read": ("table", "show", "figure", "recommend", "claims", "compare", "report"),
}
"""Title of a group of verbs in the help -> the verbs; what is in none belongs to `MORE`."""
MORE = "Measure further, and keep a board"
app = typer.Typer(
    name="spikeboard",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        say(f"spikeboard {version('spikeboard')}")
        raise typer.Exit


@app.callback()
def habits(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print where defaults come from, and errors with their trace.")
    ] = False,
) -> None:
    """Benchmark and leaderboard for spiking neural networks.

    Defaults can be set in spikeboard.toml: docs/command.md. `spikeboard --install-completion` makes Tab complete names.
    """
    if quiet and verbose:
        raise UserError("--quiet and --verbose contradict each other", "give one of them")
    be(verbose - quiet)
    own = defaults()
    if own.device is not None:
        context.default_map = {name: {"device": own.device} for name in context.command.commands}  # type: ignore[attr-defined]
    if own.path is not None and verbose:
        said = {"store": own.store, "data_root": own.data_root, "machine": own.machine, "device": own.device}
        say(
            f"{own.path}: " + ", ".join(f"{key} = {value}" for key, value in said.items() if value is not None),
            err=True,
        )


for module in (
    listing,
    beginning,
    running,
    measuring,
    checking,
    tuning,
    searching,
    data,
    reporting,
    recommending,
    filling,
    comparing,
    freshness,
    submitting,
    aiming,
    alternating,
    asv,
    calibrating,
    accepting,
):
    module.register(app)


ORDER = [name for names in PANELS.values() for name in names]
app.registered_commands.sort(key=lambda verb: ORDER.index(str(verb.name)) if verb.name in ORDER else len(ORDER))
verbs: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
for verb in verbs:
    verb.rich_help_panel = next((title for title, names in PANELS.items() if verb.name in names), MORE)


def _is_homeless() -> bool:
    """Whether the current folder has been removed: then whatever is asked of it fails without a name."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _with_loose_entries() -> None:
    """Let entries that lie in the folder of this command be found, by it and by the processes that it starts.

    A console script, unlike ``python -m``, does not have that folder on its path. It comes last, and hides nothing.
    """
    here = os.getcwd()
    if os.path.isdir(os.path.join(here, LOOSE)) and here not in sys.path:
        sys.path.append(here)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*COLLECTED_AFTER)
    if not _is_homeless():
        _with_loose_entries()
    with prepared_streams():
        try:
            app()
        except (UserError, UnknownNameError, CardError, NirError) as error:
            if is_verbose():
                traceback.print_exception(error)
            say(f"spikeboard: {error}", fg="red", err=True)
            sys.exit(2)
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            say(f"spikeboard: {missing}", fg="red", err=True)
            sys.exit(2)
        except OSError as error:
            if error.strerror is None:
                raise
            # What the system refuses (rights, room, a folder that is gone) is for its user to mend, too.
            names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
            if not names and _is_homeless():
                names = "the folder that this runs in"
            say(f"spikeboard: {names + ': ' if names else ''}{error.strerror}", fg="red", err=True)
            sys.exit(2)
