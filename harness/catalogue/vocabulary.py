"""Words of a card that are free but asked for: a reset of one's own is welcome, a misspelt one would be believed.

Training methods ask neurons for such words, so a slip of the pen makes a row silently impossible. A word that no other
card uses, and that is all but one of those that are used, is taken for a slip. Must not know any word itself.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from reference_impls.card import CardError, NeuronCapabilities, TrainingCapabilities
from reference_impls.card_files import line_of
from reference_impls.names import nearest, unknown_message

__all__ = ["Vocabulary", "check_row_name", "check_words", "vocabulary_of"]

ROW_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What a row may be called: it stands in commands, file names, addresses and LaTeX."""
FREE: Mapping[str, tuple[str, ...]] = {"neuron": ("reset", "membrane"), "training": ("memory_in_T",)}
"""Kind of card -> capabilities that are words of its own."""
ALL_BUT_ONE = 0.85
"""How much alike two words are of which one is a slip of the other: a letter in six."""

Vocabulary = Mapping[tuple[str, str], frozenset[Path]]
"""(capability, word) -> files that say so."""


def vocabulary_of(files: Iterable[tuple[str, Path, Mapping[str, Any]]]) -> Vocabulary:
    """Return the free words that `files` (kind, path, card as written) use."""
    found: dict[tuple[str, str], set[Path]] = defaultdict(set)
    for kind, path, literal in files:
        for able in (literal, *literal.get("variants", {}).values()) if kind in FREE else ():
            for key in FREE[kind]:
                word = able.get("capabilities", {}).get(key)
                if isinstance(word, str):
                    found[key, word].add(path)
    return {key: frozenset(paths) for key, paths in found.items()}


def check_row_name(name: str, path: Path, at: Iterable[str]) -> None:
    """Raise CardError if the name of a row, at the keys `at` of the card in `path`, is none for a row."""
    if ROW_NAME.fullmatch(name) is None:
        instead = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._") or "my-neuron"
        raise CardError(
            f"{path}:{line_of(path, at)}: the name {name!r} has more in it than lower-case letters, digits, '-', '_' "
            f"and '.': did you mean {instead!r}?"
        )


def check_words(able: object, path: Path, at: Sequence[str], words: Vocabulary) -> None:
    """Make sure that the words of capabilities are no slips, and that a method asks for what neurons can say.

    Parameters
    ----------
    able : capabilities of a row.
    path, at : file and keys of its card that lead to them, for messages.

    Raises
    ------
    CardError
        If a word is all but one that neurons use, or a method asks for what no neuron has.
    """
    kind = {NeuronCapabilities: "neuron", TrainingCapabilities: "training"}.get(type(able), "")
    for key in FREE.get(kind, ()):
        _check_free(key, getattr(able, key), path, (*at, key), words)
    if isinstance(able, TrainingCapabilities):
        for key, asked in able.neuron.items():
            _check_asked(key, asked, path, (*at, "neuron", key), words)


def _check_free(key: str, word: str, path: Path, at: Sequence[str], words: Vocabulary) -> None:
    others = {known for (of, known), paths in words.items() if of == key and paths - {path}}
    guess = None if word in others else _slip_of(word, others)
    if guess:
        raise CardError(
            f"{path}:{line_of(path, at)}: key {'.'.join(at)!r}: unknown word {word!r}: did you mean {guess!r}?"
        )


def _check_asked(key: str, asked: Iterable[object], path: Path, at: Sequence[str], words: Vocabulary) -> None:
    hints = get_type_hints(NeuronCapabilities)
    where = f"{path}:{line_of(path, at)}: key {'.'.join(at)!r}: "
    if key not in hints:
        raise CardError(where + unknown_message("capability of a neuron", key, list(hints)))
    known = [word for of, word in words if of == key] if key in FREE["neuron"] else list(get_args(hints[key]))
    for word in asked:
        if isinstance(word, str) and known and word not in known:
            raise CardError(where + unknown_message(f"{key} of a neuron", word, known))


def _slip_of(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that differs from `word` by about a letter, two that changed places, or in case."""
    guess = nearest(word, known)
    if guess is None:
        return None
    alike = difflib.SequenceMatcher(None, word, guess).ratio()
    return guess if alike >= ALL_BUT_ONE or sorted(word.lower()) == sorted(guess.lower()) else None
