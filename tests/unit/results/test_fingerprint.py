"""A record is redone when, and only when, something that decides its figure changed; and it says what."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from checkouts import ROOT

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.recipes import TUNED, Origin, Recipe, Values, combination_of, write_recipes
from harness.results.fingerprint import PACKAGES, Fingerprints, code_hash, combined, fingerprint
from harness.results.trees import rows_at

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
FUSED = replace(CELL, suite="throughput", backend="fused-numba", threads=2)
CELLS = {
    "accuracy": CELL,
    "throughput": replace(CELL, suite="throughput", neuron="psn", threads=2),
    "fused": FUSED,
    "cuda": replace(FUSED, backend="fused-cupy", device="cuda"),
    "gate": Cell("conformance", neuron="lif", dtype="float64"),
    "method": Cell("conformance", neuron="if", method="ottt-a", topology="mlp", dtype="float64"),
    "library": Cell("libraries", neuron="norse-lif", backend=NOT_APPLICABLE, threads=2),
    "speech": replace(CELL, task="fsdd"),
}

MATTERS = {
    "what the neuron computes": ("accuracy", "reference_impls/neurons/lif.py", "self.decay * state.v", "0.5 * state.v"),
    "what it shares with others": (
        "accuracy",
        "reference_impls/neurons/_membrane.py",
        "h - s * self.reset_amount",
        "h - s",
    ),
    "a parameter of its card": ("accuracy", "reference_impls/neurons/lif.py", '"tau": 2.0', '"tau": 3.0'),
    "its surrogate": ("accuracy", "reference_impls/surrogate.py", "return (x >= 0", "return (x > 0"),
    "how the method trains": ("accuracy", "reference_impls/training/bptt.py", ".logits.mean(0)", ".logits.sum(0)"),
    "the network": ("accuracy", "reference_impls/topologies/mlp.py", "classes)", "classes, bias=False)"),
    "the contract of all networks": ("accuracy", "reference_impls/network.py", "def over_time", "def _over_time2"),
    "its sizes on the task": (
        "accuracy",
        "harness/tasks/digits.py",
        '"mlp": {"hidden": [64]}',
        '"mlp": {"hidden": [9]}',
    ),
    "the number of steps": ("accuracy", "harness/tasks/digits.py", '"T": 8', '"T": 9'),
    "the budget in use": ("accuracy", "harness/tasks/digits.py", '"epochs": 20', '"epochs": 21'),
    "the data": ("accuracy", "harness/data/digits.py", "read_digits() ->", "read_digits(n: int = 1) ->"),
    "the split": (
        "accuracy",
        "harness/tasks/common/split.py",
        "VALIDATION_FRACTION = 0.1",
        "VALIDATION_FRACTION = 0.2",
    ),
    "the training loop": ("accuracy", "harness/suites/common/train.py", "validation_errors <", "validation_errors <="),
    "the unit of a figure": ("accuracy", "harness/suites/accuracy.py", '"unit": "fraction"', '"unit": "percent"'),
    "threads and seeds of a process": (
        "accuracy",
        "harness/execute/worker.py",
        "torch.manual_seed(cell.seed)",
        "torch.manual_seed(cell.seed + 1)",
    ),
    "the allocator": ("throughput", "harness/execute/allocator.py", '"M_MMAP_MAX": (-4, 0)', '"M_MMAP_MAX": (-4, 1)'),
    "the clock": ("throughput", "harness/measure/clock.py", "ordered = sorted(samples)", "ordered = [*samples]"),
    "what it is compared with": (
        "throughput",
        "reference_impls/neurons/lif.py",
        "s = self.fire(h)",
        "s = self.fire(h) * 1",
    ),
    "the kernels of its device": (
        "fused",
        "reference_impls/backends/fused/numba_source.py",
        "return",
        "return None or",
    ),
    "the kernels of the other": ("cuda", "reference_impls/backends/fused/cuda_source.py", "return", "return None or"),
    "a capability that the gate asks for": (
        "gate",
        "reference_impls/neurons/lif.py",
        '"causal": True',
        '"causal": False',
    ),
    "golden vectors of the row": ("gate", "harness/golden/vectors/neurons/lif-no-decay-input.json", "0.", "1."),
    "the reader of its vectors": ("method", "harness/golden/ottt.py", "return", "return None or"),
    "the library's own file": ("library", "reference_impls/peers/norse.py", "dt=1.0", "dt=2.0"),
    "a version that a library is pinned to": ("library", "reference_impls/peers/norse.py", '{"norse": "1.1.0"}', "{}"),
    "how speech becomes spikes": ("speech", "harness/tasks/common/audio.py", "return", "return None or"),
}
IDLE = {
    "a docstring": ("accuracy", "reference_impls/neurons/lif.py", '"""Charge, fire, reset."""', '"""Other words."""'),
    "a remark": (
        "accuracy",
        "reference_impls/neurons/lif.py",
        "        s = self.fire(h)\n",
        "        s = self.fire(h)  # so\n",
    ),
    "a type hint": ("accuracy", "reference_impls/neurons/lif.py", "def decay(self) -> float:", "def decay(self):"),
    "the words of an error": ("accuracy", "reference_impls/neurons/_membrane.py", "must be positive, got", "is odd:"),
    "what a refusal says and asks": ("accuracy", "reference_impls/neuron.py", "part.shape != shape", "part.dim() > 9"),
    "that something is refused": (
        "accuracy",
        "reference_impls/neuron.py",
        "        refuse_other_state(type(self).__name__, state, x, x.shape[1:])\n",
        "",
    ),
    "prose of a card": ("accuracy", "reference_impls/neurons/lif.py", "The field's workhorse.", "Everybody's neuron."),
    "what papers report": ("accuracy", "reference_impls/neurons/lif.reported.json", '"value": 8', '"value": 9'),
    "a divergence": ("accuracy", "reference_impls/neurons/lif.py", "There is no single LIF", "There is no LIF"),
    "another row of the card": ("accuracy", "reference_impls/neurons/lif.py", '"v_reset": 0.0', '"v_reset": -1.0'),
    "another neuron": ("accuracy", "reference_impls/neurons/psn.py", "torch.addmm", "torch.baddbmm"),
    "another method": ("accuracy", "reference_impls/training/spide.py", "self.T_B", "self.steps"),
    "a library's file": ("accuracy", "reference_impls/peers/norse.py", "dt=1.0", "dt=2.0"),
    "how libraries are built": ("accuracy", "reference_impls/libraries.py", "def build_peer", "def build_peers"),
    "another data set": ("speech", "harness/data/cifar.py", "return", "return None or"),
    "another task": ("accuracy", "harness/tasks/mnist.py", "return", "return None or"),
    "another budget": ("accuracy", "harness/tasks/digits.py", '"epochs": 60', '"epochs": 61'),
    "another network's sizes": ("accuracy", "harness/tasks/digits.py", '"channels": [4, 8', '"channels": [5, 8'),
    "how the split is described": ("accuracy", "harness/tasks/digits.py", "no official one", "none"),
    "a time limit": ("accuracy", "harness/suites/accuracy.py", '"timeout_seconds": 7200.0', '"timeout_seconds": 1.0'),
    "a guess of the duration": (
        "accuracy",
        "harness/suites/accuracy.py",
        '"typical_seconds": 4.0',
        '"typical_seconds": 9.0',
    ),
    "a heading": ("accuracy", "harness/suites/accuracy.py", '"short": "test error"', '"short": "error"'),
    "another suite": ("accuracy", "harness/suites/throughput.py", "return", "return None or"),
    "the ruler of time": ("accuracy", "harness/measure/clock.py", "ordered = sorted(samples)", "ordered = [*samples]"),
    "what ranks": ("accuracy", "harness/results/ranking.py", "sign = 1 if", "sign = 2 if"),
    "what tabulates": ("accuracy", "harness/results/table.py", "class Table:", "class Tabulated:"),
    "what plans": ("accuracy", "harness/planning/plan.py", "class Plan", "class Other"),
    "what shows": ("accuracy", "harness/report/units.py", "class Scale", "class Other"),
    "how rows are found": ("accuracy", "reference_impls/discovery.py", "len(found) != 1", "len(found) < 1"),
    "a backend that is not used": (
        "accuracy",
        "reference_impls/backends/compiled.py",
        "fullgraph=True",
        "fullgraph=False",
    ),
    "kernels of another device": ("fused", "reference_impls/backends/fused/cuda_source.py", "return", "return None or"),
    "kernels of a CPU, for a GPU": (
        "cuda",
        "reference_impls/backends/fused/numba_source.py",
        "return",
        "return None or",
    ),
    "kernels, for eager": ("accuracy", "reference_impls/backends/fused/program.py", "return", "return None or"),
    "the number of epochs, for a timing": ("throughput", "harness/tasks/digits.py", '"epochs": 20', '"epochs": 21'),
    "golden vectors, for an error": ("accuracy", "harness/golden/vectors/neurons/lif-no-decay-input.json", "0.", "1."),
    "golden vectors of another row": ("gate", "harness/golden/vectors/neurons/psn.json", "0.", "1."),
    "the reader of another method's": ("method", "harness/golden/spide.py", "return", "return None or"),
}


NAMED = {
    "what the neuron computes": {"neuron"},
    "a parameter of its card": {"neuron settings"},
    "its surrogate": {"contracts"},
    "how the method trains": {"method"},
    "its sizes on the task": {"topology settings"},
    "the number of steps": {"task settings"},
    "the budget in use": {"budget"},
    "the data": {"data"},
    "the split": {"task"},
    "the training loop": {"suite"},
    "the unit of a figure": {"suite settings"},
    "the allocator": {"process"},
    "the clock": {"ruler"},
    "what it is compared with": {"baseline"},
    "the kernels of its device": {"backend"},
    "golden vectors of the row": {"vectors"},
}
"""Of some of these kinds, the inputs that are named."""


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return folder


@pytest.fixture
def tree(tmp_path: Path, original: Path) -> Path:
    """A copy of both packages that a test may change, file by file."""
    return linked(original, tmp_path / "tree")


def linked(original: Path, folder: Path) -> Path:
    return Path(shutil.copytree(original, folder, copy_function=os.link))


def rewrite(path: Path, text: str) -> None:
    path.unlink()  # the link, not what others link to
    path.write_text(text)


def changed_inputs(folder: Path, cell: Cell) -> set[str]:
    before, after = fingerprint(cell, REGISTRY), Fingerprints(rows_at(folder), folder).of(cell)
    names = before.inputs.keys() | after.inputs.keys()
    found = {name for name in names if before.inputs.get(name) != after.inputs.get(name)}
    assert bool(found) == (before.code_hash != after.code_hash)
    return found


def changed(folder: Path, path: str, old: str, new: str, cell: Cell) -> set[str]:
    """Return the inputs of `cell` that change if `old` becomes `new` in a file."""
    edit(folder, path, old, new)
    return changed_inputs(folder, cell)


def edit(folder: Path, path: str, old: str, new: str) -> None:
    text = (folder / path).read_text()
    assert old in text, f"{path} does not hold {old!r}"
    rewrite(folder / path, text.replace(old, new))


@pytest.mark.parametrize("kind", MATTERS)
def test_what_decides_the_figure_makes_its_record_stale(tree: Path, kind: str) -> None:
    name, path, old, new = MATTERS[kind]
    found = changed(tree, path, old, new, CELLS[name])
    assert found == NAMED[kind] if kind in NAMED else found


@pytest.mark.parametrize("cell", sorted({name for name, *_ in IDLE.values()}))
def test_what_does_not_decide_it_leaves_it_current(tree: Path, cell: str) -> None:
    """All of it at once; should this fail, the slow test below says which."""
    for name, path, old, new in IDLE.values():
        if name == cell:
            edit(tree, path, old, new)
    assert changed_inputs(tree, CELLS[cell]) == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", IDLE)
def test_each_of_what_does_not_decide_it_leaves_it_current(tree: Path, kind: str) -> None:
    name, path, old, new = IDLE[kind]
    assert changed(tree, path, old, new, CELLS[name]) == set()


def test_where_the_code_lies_does_not_matter(tree: Path) -> None:
    for cell in CELLS.values():
        assert changed_inputs(tree, cell) == set()


def test_a_module_may_move_and_a_helper_become_public(tree: Path) -> None:
    neurons = tree / "reference_impls/neurons"
    (neurons / "_membrane.py").rename(neurons / "_integrating.py")
    for path in (tree / "reference_impls").rglob("*.py"):
        rewrite(path, path.read_text().replace("neurons._membrane", "neurons._integrating"))
    accuracy = tree / "harness/suites/accuracy.py"
    rewrite(accuracy, accuracy.read_text().replace("_pretraining(run", "pretraining(run"))
    assert changed_inputs(tree, CELL) == set()


def test_a_neighbour_that_nobody_names_does_not_matter(tree: Path) -> None:
    for path in ("surrogate.py", "network.py", "neurons/_membrane.py", "synapses.py"):
        module = tree / "reference_impls" / path
        rewrite(module, module.read_text() + "\n\nCONSTANT = 7\n\n\ndef neighbour(x):\n    return CONSTANT * x\n")
    assert changed_inputs(tree, CELL) == set()


def test_what_enters_itself_somewhere_matters_without_being_named(tree: Path) -> None:
    module = tree / "reference_impls/surrogate.py"
    rewrite(module, module.read_text() + "\n\n@entered\ndef further(x):\n    return x\n")
    assert changed_inputs(tree, CELL) == {"contracts"}


def test_other_rows_have_other_fingerprints() -> None:
    neurons = ("lif", "lif-hard", "klif", "psn", "mpe-psn")
    assert len({code_hash(replace(CELL, neuron=neuron), REGISTRY) for neuron in neurons}) == len(neurons)


def test_seeds_share_a_fingerprint() -> None:
    assert fingerprint(replace(CELL, seed=7), REGISTRY) is fingerprint(CELL, REGISTRY)


def test_a_version_of_a_package_is_an_input() -> None:
    other = Fingerprints(REGISTRY, version_of=lambda _: "0.0.1").of(CELL)
    here = fingerprint(CELL, REGISTRY)
    assert {name for name in here.inputs if here.inputs[name] != other.inputs[name]} == {"packages"}


def test_the_hash_is_that_of_the_inputs() -> None:
    found = fingerprint(CELL, REGISTRY)
    assert found.code_hash == combined(dict(found.inputs))
    assert combined({**found.inputs, "neuron": "0" * 12}) != found.code_hash


def test_a_row_that_a_tree_does_not_have_changes_the_hash(tree: Path) -> None:
    (tree / "reference_impls/neurons/lif.py").unlink()
    assert {"neuron", "neuron settings"} <= changed_inputs(tree, CELL)


def test_a_package_of_ones_own_is_followed_into_its_other_files(tmp_path: Path, original: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("FACTOR = 2\nUNUSED = 3\n")
    source = "from mine.helper import FACTOR\n\nclass Mine:\n    factor = FACTOR\n"
    (package / "neuron.py").write_text(source)
    row = replace(REGISTRY.neurons["lif"], module="mine.neuron", path=package / "neuron.py", name="mine")
    cell = replace(CELL, neuron="mine")
    found = []
    for factor in ("2", "3"):
        (package / "helper.py").write_text(f"FACTOR = {factor}\nUNUSED = 3\n")
        root = linked(original, tmp_path / factor)
        rows = replace(rows_at(root), neurons={**REGISTRY.neurons, "mine": row})
        found.append(Fingerprints(rows, root).of(cell).inputs["neuron"])
    assert found[0] != found[1]


def with_recipe(tau: float, origin: Origin | None = None) -> Registry:
    key = combination_of(CELL)
    recipe = Recipe(key, Values(neuron={"tau": tau}), origin or Origin("", "", 12, 1, 0.1, (1000,), ""))
    return replace(REGISTRY, recipes={TUNED: {key: recipe}})


def test_a_recipe_is_an_input_of_its_own_cells_and_of_no_others() -> None:
    cell = replace(CELL, recipe=TUNED)
    plain, tuned = fingerprint(CELL, REGISTRY), fingerprint(cell, with_recipe(3.0))
    assert {name for name in tuned.inputs if tuned.inputs[name] != plain.inputs.get(name)} == {"recipe"}
    assert plain.inputs.keys() == tuned.inputs.keys() - {"recipe"}
    assert fingerprint(CELL, with_recipe(3.0)) == plain
    assert fingerprint(cell, with_recipe(4.0)).inputs["recipe"] != tuned.inputs["recipe"]


def test_where_a_recipe_comes_from_decides_nothing() -> None:
    elsewhere = Origin("another", "space", 40, 7, 0.3, (1001,), "machine")
    cell = replace(CELL, recipe=TUNED)
    assert fingerprint(cell, with_recipe(3.0, elsewhere)) == fingerprint(cell, with_recipe(3.0))


def test_another_trees_recipes_are_that_trees(tree: Path) -> None:
    cell = replace(CELL, recipe=TUNED)
    found = fingerprint(cell, with_recipe(3.0))
    write_recipes(tree / "harness" / "recipes", TUNED, "digits", with_recipe(3.0).recipes[TUNED].values())
    assert Fingerprints(rows_at(tree), tree).of(cell).inputs["recipe"] == found.inputs["recipe"]
