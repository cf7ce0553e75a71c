"""What contributors get wrong in a card: a mistake is named with file, line, key, what is allowed and the nearest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mistakes import METHOD, NEURON, Mistake, install, line_with

from harness.catalogue.cards import Registry
from harness.catalogue.loading import load_registry
from reference_impls import discovery


def one(name: str, before: str, after: str, *says: str, at: str = "", base: str = NEURON) -> Mistake:
    return Mistake(name, ((before, after),), says, at or after.splitlines()[-1].strip() or after, base)


MISTAKES = (
    one("misspelt reset", '"soft"', '"softt"', "capabilities.reset", "unknown word 'softt'", "did you mean 'soft'"),
    one("letters changed places", '"linear"', '"linaer"', "capabilities.membrane", "did you mean 'linear'"),
    one(
        "misspelt output", '"binary"', '"binry"', "'binry'", "did you mean 'binary'", "Known: analog, binary, graded, t"
    ),
    one("a text for a number", '"version": 1', '"version": "one"', "'version': must be a whole number, not 'one'"),
    one("a text for a yes", '"causal": True', '"causal": "yes"', "capabilities.causal", "True or False, not 'yes'"),
    one("a number for a yes", '"causal": True', '"causal": 1', "capabilities.causal", "must be True or False, not 1"),
    one("missing key", '    "title": "Mine",\n', "", "missing key 'title'", at="CARD = {"),
    one(
        "missing capability", '        "causal": True,\n', "", "missing key 'capabilities.causal'", at='"capabilities"'
    ),
    one("misspelt key", '"summary"', '"sumary"', "unknown key 'sumary'", "did you mean 'summary'", at='"sumary"'),
    one(
        "misspelt key of a variant",
        '"title": "Slow"',
        '"titel": "Slow"',
        "unknown key 'variants.mine-slow.titel'",
        "did you mean 'title'",
    ),
    one(
        "misspelt capability of a variant",
        '"params": {"tau": 4.0}',
        '"capabilities": {"rest": "hard"}',
        "unknown key 'variants.mine-slow.capabilities.rest'",
        "did you mean 'reset'",
    ),
    one("variant of none", '"of": "mine-slow"', '"of": "mine-slwo"', "is of 'mine-slwo'", "did you mean 'mine-slow'"),
    one("misspelt kind", '"kind": "neuron"', '"kind": "nuron"', "'nuron', expected", "did you mean 'neuron'"),
    one("taken name", '"name": "mine"', '"name": "lif"', "the name 'lif' is already taken by", "neurons/lif.py"),
    one("taken name of a variant", '"mine-slower": {', '"psn": {', "the name 'psn' is already taken", "neurons/psn.py"),
    one("name with spaces", '"mine"', '"My Neuron!"', "the name 'My Neuron!'", "did you mean 'my-neuron'"),
    one(
        "a list for a dict", '{"tau": 2.0, "detach_reset": True}', '["tau"]', "CARD['defaults'] must be a dict of names"
    ),
    one("a call in the card", '"tau": 2.0', '"tau": math.sqrt(2)', "must be a plain literal", "math.sqrt(2)"),
    one("default out of the space", '"low": 1.1', '"low": 3.0', "does not hold its default, tau = 2.0", "3.0 to 8.0"),
    one("space upside down", '"low": 1.1', '"low": 9.0', "'space.tau'", "low < high, not 9.0 and 8.0"),
    one("misspelt scale", '"log"', '"lgo"', "space.tau.scale", "did you mean 'log'", "Known: linear, log"),
    one(
        "malformed citation",
        '    "space"',
        '    "citations": [{"author": "Me", "title": "x", "venue": "y", "year": 1}],\n    "space"',
        "missing key 'citations.0.authors'",
        "unknown key 'citations.0.author'",
        "did you mean 'authors'",
        at='"citations"',
    ),
    one(
        "figures in the card",
        '    "space"',
        '    "reported": [],\n    "space"',
        "'reported' is no key of a card",
        at='"reported"',
    ),
    one(
        "syntax error",
        '    "kind": "neuron",',
        '    "kind" "neuron",',
        "cannot be read as Python",
        at='"kind" "neuron"',
    ),
    one("no card", "CARD = {", "KARD = {", "has no CARD = {...} at its top level", "CONTRIBUTING.md", at="-"),
    one(
        "unknown structure",
        '"chain"',
        '"chian"',
        "capabilities.structures.0",
        "did you mean 'chain'",
        "recurrent",
        base=METHOD,
    ),
    one(
        "a text for a list",
        '["chain"]',
        '"chain"',
        "capabilities.structures",
        "must be a list, not 'chain'",
        base=METHOD,
    ),
    one(
        "misspelt updates",
        '"per_batch"',
        '"per batch"',
        "did you mean 'per_batch'",
        "per_step, per_window",
        base=METHOD,
    ),
    one(
        "asks for no capability",
        '"parallel":',
        '"paralel":',
        "unknown capability of a neuron 'paralel'",
        "did you mean 'parallel'",
        base=METHOD,
    ),
    one(
        "asks for no such value",
        '["sequential"]',
        '["sequental"]',
        "capabilities.neuron.parallel",
        "did you mean 'sequential'",
        base=METHOD,
    ),
    one(
        "asks for a misspelt reset",
        '["soft"]',
        '["sotf"]',
        "capabilities.neuron.reset",
        "did you mean 'soft'",
        base=METHOD,
    ),
    one("misspelt order", '"O(T)"', '"O(t)"', "capabilities.memory_in_T", "did you mean 'O(T)'", base=METHOD),
    one(
        "unknown setting to tune",
        '    "defaults"',
        '    "optimizer_space": ["learning_rat"],\n    "defaults"',
        "optimizer_space.0",
        "did you mean 'learning_rate'",
        at='"learning_rat"',
        base=METHOD,
    ),
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, dict[str, Path]]]:
    """Every mistake in a file of its own, and the good files, read at once; with the file of each."""
    folder = tmp_path_factory.mktemp("mistakes")
    good = (Mistake("neuron", (), ()), Mistake("method", (), (), base=METHOD))
    files = {
        mistake.name: install(folder, mistake.numbered(number).text, f"contributed{number}")
        for number, mistake in enumerate((*MISTAKES, *good))
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        forget()
        yield load_registry(), files
    forget()


def forget() -> None:
    for cached in (discovery.discover, load_registry):
        cached.cache_clear()


@pytest.mark.parametrize(("number", "mistake"), [*enumerate(MISTAKES)], ids=lambda value: str(value))
def test_a_mistake_is_named(read: tuple[Registry, dict[str, Path]], number: int, mistake: Mistake) -> None:
    registry, files = read
    path, mistake = files[mistake.name], mistake.numbered(number)
    (said,) = [str(problem) for problem in registry.problems if str(path) in str(problem)]
    for words in mistake.says:
        assert words in said
    assert (str(path) if mistake.at == "-" else f"{line_with(path, mistake.at)}: ") in said
    assert path not in {row.path for row in (*registry.neurons.values(), *registry.methods.values())}, "it is left out"


def test_nothing_else_is_a_problem(read: tuple[Registry, dict[str, Path]]) -> None:
    registry, files = read
    assert len(registry.problems) == len(MISTAKES) >= 22
    assert registry.neurons[f"mine{len(MISTAKES)}"].path == files["neuron"]
    assert registry.methods[f"my-method{len(MISTAKES) + 1}"].path == files["method"]
    assert "lif" in registry.neurons
