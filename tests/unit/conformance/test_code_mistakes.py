"""What contributors get wrong in code: `check` names a mistake once, with file, line and what to write instead."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mistakes import METHOD, NEURON, Mistake, install, line_with

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import Cell
from harness.catalogue.loading import CardFile, load_registry, rows_of
from harness.conformance.first_look import look_at_neuron
from harness.conformance.neurons import NeuronSubject
from harness.planning.checking import _verdict, explained
from harness.suites.common.base import Suite
from harness.workload import Workload
from reference_impls import building, discovery
from reference_impls.discovery import load_class

FIRE = "s = self.surrogate(h - 1.0)"
RETURN = "return s, State(h - r)"
CHARGE = "h = state.v * (1 - 1 / self.tau) + x"
RESET = "r = s.detach() if self.detach_reset else s"
REST = "return State(torch.zeros_like(like))"
STEP = "def step(self, x, state, params):"
INIT = "def init_state(self, like):"
CONSTRUCTOR = "def __init__(self, tau=2.0, detach_reset=True):"
ACCUMULATE = "def accumulate(self, x, target):"


def wrong(name: str, *instead: tuple[str, str], says: tuple[str, ...], at: str, base: str = NEURON) -> Mistake:
    return Mistake(name, instead, says, at, base)


IN_NEURONS = (
    wrong("returns a tensor", (RETURN, "return s"), says=("step() returns a tensor", "(spikes, next state)"), at=STEP),
    wrong("returns nothing", (RETURN, "(s, State(h - r))"), says=("step() returns nothing", "is the return"), at=STEP),
    wrong("returns three", (RETURN, "return s, State(h - r), h"), says=("step() returns a tuple of 3",), at=STEP),
    wrong("the wrong way round", (RETURN, "return State(h - r), s"), says=("the spikes first",), at=STEP),
    wrong(
        "state is a dict",
        (REST, 'return {"v": torch.zeros_like(like)}'),
        ("state.v", 'state["v"]'),
        ("State(h - r)", '{"v": h - r}'),
        says=("init_state() returns a dict", "a state is a NamedTuple of tensors (class State(NamedTuple): v: Tensor)"),
        at=INIT,
    ),
    wrong("state is a list", (REST, "return [torch.zeros_like(like)]"), says=("returns a list", "NamedTuple"), at=INIT),
    wrong("state is a tensor", (REST, "return torch.zeros_like(like)"), says=("returns a tensor", "NamedTu"), at=INIT),
    wrong("no state", (REST, "State(torch.zeros_like(like))"), says=("init_state() returns nothing",), at=INIT),
    wrong("state of another type", ("State(h - r)", "(h - r,)"), says=("a tuple of 1", "NamedTuple"), at=STEP),
    wrong("state of one number", ("zeros_like(like)", "zeros(1)"), says=("shape (1,)", "torch.zeros_like"), at=INIT),
    wrong("state in single precision", ("State(h - r)", "State((h - r).float())"), says=("torch.float32",), at=STEP),
    wrong("state on another device", ("(like))", "(like, device='meta'))"), says=("on meta",), at=INIT),
    wrong("state not finite", ("State(h - r)", "State((h - r) / 0)"), says=("not finite", "inf"), at=STEP),
    wrong(
        "NumPy for the threshold",
        (FIRE, "s = torch.from_numpy((h.detach().numpy() > 1.0) * 1.0)"),
        says=("computes with NumPy: no gradient passes", "torch.exp for np.exp"),
        at="torch.from_numpy",
    ),
    wrong(
        "NumPy for the input",
        ("import torch\n", "import numpy as np\nimport torch\n"),
        (CHARGE, "h = state.v / 2 + torch.as_tensor(np.asarray(x))"),
        says=("computes with NumPy",),
        at="np.asarray",
    ),
    wrong(
        "state in place", (CHARGE, "h = state.v.mul_(0.5).add_(x)"), says=("step() changes state.v in place",), at=STEP
    ),
    wrong("input in place", (CHARGE, "x += state.v / 2; h = x"), says=("step() changes x in place",), at=STEP),
    wrong("state kept", (CHARGE, "h = x; self.last = h"), says=("step() keeps self.last", "init_state()"), at=STEP),
    wrong(
        "hard threshold",
        (FIRE, "s = (h > 1.0).to(x)"),
        says=("no gradient passes from spikes to input: a bare threshold", "make_surrogate(...)"),
        at=STEP,
    ),
    wrong("threshold of booleans", (FIRE, "s = h > 1.0"), (RESET, "r = s.to(x)"), says=("torch.bool",), at=STEP),
    wrong("spikes in single precision", (RETURN, "return s.float(), State(h - r)"), says=("float32 for an",), at=STEP),
    wrong("spikes of another shape", (RETURN, "return s.sum(-1), State(h - r)"), says=("shape (3,) for",), at=STEP),
    wrong("spikes not finite", (RETURN, "return s / 0, State(h - r)"), says=("not finite: inf, nan",), at=STEP),
    wrong("no reset", (RETURN, "return s, State(h)"), says=("reset 'soft', but nothing of the state ch",), at=STEP),
    wrong("reset always attached", (RESET, "r = s"), says=("the same with detach_reset True and False",), at=STEP),
    wrong(
        "reset always detached",
        (RESET, "r = s.detach()"),
        says=("r = s.detach() if self.detach_reset else s",),
        at=STEP,
    ),
    wrong("misspelt parameter", ("tau=2.0, de", "tua=2.0, de"), says=("'tau': did you mean 'tua'",), at="class Mine"),
    wrong("space of no parameter", ('{"tau": {"low"', '{"tua": {"low"'), says=("'tua'", "'tau'?"), at="class Mine"),
    wrong(
        "constructor raises", ("= tau, detach_reset", "= 1 / (tau - 2), 0"), says=("ZeroDivisionError",), at="tau - 2"
    ),
    wrong("no super", ("super().__init__()", "pass"), says=("does not begin with super().__init__()",), at=CONSTRUCTOR),
    wrong(
        "import of nothing", ("import torch\n", "import torhc\n"), says=("No module named 'torhc'",), at="import torhc"
    ),
    wrong(
        "misspelt function", ("zeros_like(like)", "zeros_lik(like)"), says=("no attribute 'zeros_lik'",), at="zeros_lik"
    ),
    wrong(
        "no neuron",
        ("Mine(SequentialNeuron)", "Mine(torch.nn.Module)"),
        says=("found: none; derive yours from",),
        at="",
    ),
    wrong(
        "parameters of no tensors",
        (INIT, "def step_params(self):\n        return [1]\n\n    " + INIT),
        says=("step_params() returns a list; it must map names to tensors",),
        at="def step_params",
    ),
)
IN_METHODS = (
    wrong(
        "returns a loss",
        ("return UpdateReport(loss.item(), stages=tuple(stages))", "return loss"),
        base=METHOD,
        says=("accumulate() returns a tensor; it must return an UpdateReport",),
        at=ACCUMULATE,
    ),
    wrong(
        "reports a tensor",
        ("loss.item()", "loss"),
        base=METHOD,
        says=("reports a tensor as its loss", "loss.item()"),
        at=ACCUMULATE,
    ),
    wrong(
        "no backward",
        ("            loss.backward()\n", ""),
        base=METHOD,
        says=("leaves no gradient in any parameter: is loss.backward() missing?",),
        at=ACCUMULATE,
    ),
    wrong(
        "predicts every step",
        ("return self.network(x).mean(0)", "return self.network(x)"),
        base=METHOD,
        says=("predict() returns a tensor of shape [6, 8, 3]", "logits [B, C], here [8, 3]"),
        at="def predict",
    ),
    wrong(
        "gradients without names",
        ("    def predict", "    def gradients(self, x, target):\n        return []\n\n    def predict"),
        base=METHOD,
        says=("gradients() returns a list; it must map the name of every",),
        at="def gradients",
    ),
    wrong(
        "forgets its network",
        ("    def predict", "    def prepare(self, network, optimizer=None):\n        pass\n\n    def predict"),
        base=METHOD,
        says=("prepare() does not call super().prepare()",),
        at="def prepare",
    ),
    wrong(
        "raises",
        ("loss.backward()", "loss.backwards()"),
        base=METHOD,
        says=("AttributeError: 'Tensor' object has no attribute 'backwards'", "accumulate()"),
        at="loss.backwards()",
    ),
    wrong(
        "parameter of nobody",
        ("weight=1.0", "wieght=1.0"),
        base=METHOD,
        says=("'weight': did you mean 'wieght'",),
        at="class MyMethod",
    ),
)


@functools.cache
def known() -> Registry:
    return load_registry()


Asked = Callable[[Mistake], tuple[list[str], Path]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """Writes the file of a mistake and returns what `check` says of it, with the file."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def ask(mistake: Mistake) -> tuple[list[str], Path]:
        path = install(tmp_path, mistake.text)
        source = discovery._read(None, path, "contributed")
        rows = rows_of([CardFile(source.kind, path, source.module, source.literal)])
        assert rows.problems == ()
        resolve = building.resolve
        monkeypatch.setattr(
            building,
            "resolve",
            lambda kind, name: (source, source.entries()[name]) if name == source.name else resolve(kind, name),
        )
        neurons, methods = {**known().neurons, **rows.neurons}, {**known().methods, **rows.methods}
        registry = explained(replace(known(), neurons=neurons, methods=methods))
        cell = Cell("conformance", neuron=source.name)
        if source.kind == "training":
            cell = Cell("conformance", neuron="lif", method=source.name, topology="mlp")
        suite = load_class(registry.suites["conformance"].module, Suite)(registry.suite("conformance"))
        checks = suite.run(Workload(cell, registry)).details["checks"]
        return [f"{one['name']}: {one['problem']}" for one in checks if not one["passed"]], path

    yield ask
    sys.modules.pop("contributed", None)


@pytest.mark.parametrize("mistake", [*IN_NEURONS, *IN_METHODS], ids=str)
def test_a_mistake_is_named_once(asked: Asked, mistake: Mistake) -> None:
    said, path = asked(mistake)
    assert len(said) == 1, said
    where = line_with(path, mistake.at) if mistake.at else str(path)
    assert said[0].startswith(f"first look: {where}: ")
    for words in mistake.says:
        assert words in said[0]


@pytest.mark.parametrize("base", [NEURON, METHOD], ids=["neuron", "method"])
def test_a_good_file_passes(asked: Asked, base: str) -> None:
    assert asked(Mistake("good", (), (), base=base))[0] == []


def test_what_is_no_matter_of_types_is_left_to_the_clauses(asked: Asked) -> None:
    said, _ = asked(Mistake("spikes that are none", ((RETURN, "return s * 0.7, State(h - r)"),), ()))
    assert said == ["output: output is declared binary and holds [0.7]"]


@pytest.mark.parametrize("row", known().neurons.values(), ids=lambda row: row.name)
def test_every_neuron_of_the_project_passes_the_first_look(row: Row) -> None:
    look_at_neuron(NeuronSubject(row))


def test_one_cause_of_several_clauses_is_said_once() -> None:
    clauses = ("shapes", "output", "deterministic", "isolated")
    checks = [{"name": name, "passed": False, "problem": "ValueError: no"} for name in clauses]
    checks.append({"name": "causal", "passed": False, "problem": "it looks ahead"})
    verdict = _verdict(checks, 5, named=True)
    assert verdict.problems == ("shapes, output, deterministic and 1 more: ValueError: no", "causal: it looks ahead")
