"""The command ``spikeboard``: one module per family of verbs, each imported only when its verb is used.

What a user can mend ends as a message and exit code 2, never as a traceback. Must not import torch: only the
processes that a run starts do.
"""

from __future__ import annotations

import gc
import os
import sys

import typer

from harness.cli import (
    aiming,
    asv,
    beginning,
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
    tuning,
)
from harness.errors import UserError
from harness.extras import missing_extra
from harness.streams import prepared_streams
from harness.terminal import say
from reference_impls.card import CardError
from reference_impls.discovery import LOOSE
from reference_impls.exchange.errors import NirError
from reference_impls.names import UnknownNameError

__all__ = ["app", "main"]

COLLECTED_AFTER = (200_000, 20, 50)
"""When Python looks for garbage: rarely. A command lives for seconds, and its hundred thousand records to its end."""

app = typer.Typer(
    name="spikeboard",
    help="Benchmark and leaderboard for spiking neural networks.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
    aiming,
    asv,
):
    module.register(app)


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
