"""What the code of a neuron returns, looked at before any clause of its contract is judged.

A step that returns the wrong thing fails nearly every clause, each with another misleading message. Here the first
thing that is wrong is named once, with file and line. Must not know any neuron by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.catalogue.cards import Row
from harness.conformance import require
from harness.conformance.neurons import NeuronSubject, call, current
from harness.conformance.places import NumpyWatch, defined_at, saying_where
from reference_impls.api import Neuron, ParallelNeuron, SequentialNeuron
from reference_impls.discovery import load_class
from reference_impls.names import unknown_message

__all__ = ["kind_of", "look_at_class", "look_at_neuron"]

STEPS, BATCH, FEATURES = 4, 3, 5
CURRENTS = 2001
"""Input currents among which a neuron is looked for that just fires."""
STRONGEST = 40.0
JUMP = 5.0
"""How many times as far as elsewhere a membrane moves between two currents of which one makes it fire."""


def look_at_class(row: Row, base: type) -> type:
    """Return the class of a row, after its card's parameters were compared with what its constructor takes."""
    with saying_where(row.path, "importing the file", str(row.path)):
        cls: type = load_class(row.module, base)
    known = inspect.signature(cls).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return cls
    spaces = getattr(row.card, "space", {})
    for key, where in {**dict.fromkeys(spaces, "space"), **dict.fromkeys(row.params, "defaults")}.items():
        name = key.partition(".")[0]
        require(
            name in known,
            f"{defined_at(cls)}: "
            + unknown_message(f"parameter (in the card's {where}) of {cls.__name__}.__init__():", name, list(known)),
        )
    return cls


def look_at_neuron(subject: NeuronSubject) -> None:
    """Look at the file of a neuron: class, parameters, constructor, and what a step or a sequence gives.

    Raises
    ------
    harness.conformance.CheckFailedError
        With the first thing that is wrong, its file and line.
    """
    cls = look_at_class(subject.row, Neuron)
    here = defined_at(vars(cls).get("__init__", cls))
    with saying_where(subject.row.path, f"building it with {dict(subject.row.params)}", here):
        neuron = subject.build(T=STEPS, shape=(FEATURES,))
    require("_parameters" in vars(neuron), f"{here}: its __init__ does not begin with super().__init__()")
    require(hasattr(neuron, "_observers"), f"{here}: its __init__ does not begin with super().__init__()")
    look = _Look(subject, neuron)
    if not isinstance(neuron, SequentialNeuron):
        look.at_sequence()
        look.at_gradient()
        return
    for question in (look.at_rest, look.at_step, look.at_gradient, look.at_reset, look.at_detaching):
        question()


class _Look:
    """A neuron, and the lines where its methods begin."""

    def __init__(self, subject: NeuronSubject, neuron: Neuron) -> None:
        self.subject, self.row, self.neuron = subject, subject.row, neuron
        self.x = current(STEPS, BATCH, FEATURES)

    def place(self, method: str) -> str:
        return defined_at(getattr(type(self.neuron), method))

    def called(self, method: str, *arguments: Any, neuron: Neuron | None = None) -> Any:
        """Call a method of the neuron, seeded; an exception is said with the line that raised it."""
        torch.manual_seed(0)
        with saying_where(self.row.path, f"calling {method}()", self.place(method)):
            return getattr(neuron or self.neuron, method)(*arguments)

    def at_rest(self) -> None:
        """Look at the state at rest, and at the effective parameters."""
        state, place = self.called("init_state", self.x[0]), self.place("init_state")
        self.check_state(state, self.x[0], f"{place}: init_state() returns", type(state))
        params = self.called("step_params")
        require(
            isinstance(params, Mapping) and all(isinstance(value, Tensor) for value in params.values()),
            f"{self.place('step_params')}: step_params() returns {kind_of(params)}; it must map names to tensors",
        )

    def at_step(self) -> None:
        """Look at one step: its type, what it gives, and what it must leave alone."""
        x, state, place = self.x[0].clone(), self.called("init_state", self.x[0]), self.place("step")
        watched = {"x": x, **{f"state.{name}": part for name, part in _parts(state).items()}}
        before = {name: value._version for name, value in watched.items()}
        attributes = _attributes(self.neuron)
        watch = NumpyWatch()
        try:
            with torch.no_grad(), watch:
                answer = self.called("step", x, state, self.called("step_params"))
        finally:
            self.require_no_numpy(watch)
        s, after = self.check_pair(answer, place)
        self.check_spikes(s, x, f"{place}: step() gives spikes")
        self.check_state(after, x, f"{place}: step() gives a state that is", type(state))
        for name, value in watched.items():
            require(
                value._version == before[name],
                f"{place}: step() changes {name} in place: whoever passed it has it still. Write h = a * b, and not "
                "h.mul_(b) or h *= b",
            )
        kept = [name for name, value in _attributes(self.neuron).items() if attributes.get(name) != value]
        require(
            not kept,
            f"{place}: step() keeps {', '.join(f'self.{name}' for name in kept)}: a call would see what another left. "
            "All that lasts from step to step is the state that init_state() makes and step() returns",
        )

    def check_pair(self, answer: Any, place: str) -> tuple[Tensor, Any]:
        """Return spikes and state, if these two are what a step gave."""
        wanted = "a step returns (spikes, next state)"
        require(answer is not None, f"{place}: step() returns nothing; {wanted}: is the return missing?")
        require(
            type(answer) is tuple and len(answer) == 2,
            f"{place}: step() returns {kind_of(answer)}; {wanted}: return s, State(v)",
        )
        s, state = answer
        swapped = isinstance(state, Tensor) and not isinstance(s, Tensor)
        require(not swapped, f"{place}: step() returns (state, spikes); {wanted}, the spikes first")
        require(isinstance(s, Tensor), f"{place}: step() gives {kind_of(s)} for spikes, not a tensor")
        return s, state

    def check_spikes(self, s: Tensor, x: Tensor, says: str) -> None:
        """Demand the shape, type and device of the input, and finite values."""
        require(s.shape == x.shape, f"{says} of shape {tuple(s.shape)} for an input of {tuple(x.shape)}")
        require(s.dtype == x.dtype, f"{says} of {s.dtype} for an input of {x.dtype}: .to(x) takes type and device over")
        require(s.device == x.device, f"{says} on {s.device} for an input on {x.device}: .to(x) takes both over")
        require(torch.isfinite(s).all(), f"{says} that are not finite: {_odd(s)} among them")

    def check_state(self, state: Any, like: Tensor, says: str, kind: type) -> None:
        """Demand a NamedTuple of tensors like one step's input."""
        wanted = "a state is a NamedTuple of tensors (class State(NamedTuple): v: Tensor)"
        require(state is not None, f"{says} nothing; {wanted}: is the return missing?")
        require(hasattr(state, "_fields"), f"{says} {kind_of(state)}; {wanted}")
        require(type(state) is kind, f"{says} {kind_of(state)}, and init_state() makes a {kind.__name__}")
        for name, part in _parts(state).items():
            require(isinstance(part, Tensor), f"{says} {kind_of(state)} with {name} = {kind_of(part)}; {wanted}")
            require(
                part.shape == like.shape,
                f"{says} {kind_of(state)} whose {name} has shape {tuple(part.shape)}; a step of this input has "
                f"{tuple(like.shape)}: torch.zeros_like(like)",
            )
            require(
                (part.dtype, part.device) == (like.dtype, like.device),
                f"{says} {kind_of(state)} whose {name} is {part.dtype} on {part.device} for an input of {like.dtype} "
                f"on {like.device}: torch.zeros_like(like) takes both over",
            )
            require(torch.isfinite(part).all(), f"{says} not finite: {name} holds {_odd(part)}")

    def require_no_numpy(self, watch: NumpyWatch) -> None:
        require(
            watch.place is None,
            f"{watch.place}: computes with NumPy: no gradient passes, and no backend but eager can run it. Use torch's "
            "operations (torch.exp for np.exp)",
        )

    def at_sequence(self) -> None:
        """Look at what a parallel neuron makes of a sequence."""
        x, place, watch = self.x.clone(), self.place("forward"), NumpyWatch()
        try:
            with torch.no_grad(), watch:
                s = self.called("forward", x)
        finally:
            self.require_no_numpy(watch)
        require(
            isinstance(s, Tensor), f"{place}: forward() returns {kind_of(s)}; it must return the spikes [T, B, ...]"
        )
        self.check_spikes(s, self.x, f"{place}: forward() gives spikes")
        require(x._version == 0, f"{place}: forward() changes its input in place: write y = x * b, and not x *= b")

    def at_gradient(self) -> None:
        """Demand that spikes depend on the input for autograd, too."""
        method = "forward" if isinstance(self.neuron, ParallelNeuron) else "step"
        x = self.x.clone().requires_grad_()
        with saying_where(self.row.path, "running it with gradients", self.place(method)):
            s = call(self.neuron, x)
        require(
            s.requires_grad,
            f"{self.place(method)}: no gradient passes from spikes to input: a bare threshold such as "
            "(v > v_threshold).to(v) has none, nor has what was detached. Fire by self.surrogate(v - v_threshold), "
            "with self.surrogate = make_surrogate(...) in __init__",
        )

    def at_reset(self) -> None:
        """Demand that a membrane jumps where it fires, if the card says that there is a reset."""
        declared = self.row.capabilities.reset
        if declared not in ("hard", "soft") or self.row.capabilities.stochastic:
            return
        x = _many_currents()
        with torch.no_grad():
            s, state = self.called("step", x, self.called("init_state", x), self.called("step_params"))
        fires = (s[1:] - s[:-1]).abs()[:, 0] > 0
        if not fires.any():
            return  # slow membranes need more than a step; the clause on its output says if it never fires
        for part in _parts(state).values():
            moves = (part[1:] - part[:-1]).abs()[:, 0]
            if moves[fires].max() > JUMP * moves[~fires].median():
                return
        require(
            False,
            f"{self.place('step')}: the card says reset {declared!r}, but nothing of the state changes where it fires: "
            'subtract v_threshold * s from it (soft), multiply it by 1 - s (hard), or say "reset": "none"',
        )

    def at_detaching(self) -> None:
        """Demand that `detach_reset` decides whether the reset carries a gradient, where there is such a parameter."""
        if not isinstance(getattr(self.neuron, "detach_reset", None), bool) or self.row.capabilities.stochastic:
            return
        neurons = []
        for detach in (True, False):
            with saying_where(self.row.path, "building it", self.place("__init__")):
                neurons.append(self.subject.build(T=STEPS, shape=(FEATURES,), detach_reset=detach))
        x = _many_currents().expand(STEPS, -1, -1)
        require(
            not torch.equal(*(self.gradient_of(neuron, x) for neuron in neurons)),
            f"{self.place('step')}: the gradient is the same with detach_reset True and False: reset by "
            "r = s.detach() if self.detach_reset else s",
        )

    def gradient_of(self, neuron: Neuron, x: Tensor) -> Tensor:
        """Return the gradient of all that a sequence gives in all of its input."""
        leaf = x.clone().requires_grad_()
        output = self.called("run", leaf, neuron=neuron)
        weights = current(*x.shape, seed=3)
        total = (output.spikes * weights).sum() + sum(part.sum() for part in _parts(output.state).values())
        return torch.autograd.grad(total, leaf)[0]


def _many_currents() -> Tensor:
    """Return a batch for one step, from weak currents to strong ones, among them such as just make a neuron fire."""
    return torch.linspace(-1.0, STRONGEST, CURRENTS, dtype=torch.float64).unsqueeze(1).expand(-1, FEATURES)


def _parts(state: Any) -> dict[str, Any]:
    return dict(zip(getattr(state, "_fields", ()), state, strict=True)) if isinstance(state, tuple) else {}


def _attributes(neuron: Neuron) -> dict[str, tuple[int, int]]:
    """Return what tells whether an attribute was set or changed: which object it is, and its version."""
    own = {**vars(neuron), **dict(neuron.named_buffers())}
    return {name: (id(value), getattr(value, "_version", 0)) for name, value in own.items()}


def kind_of(value: Any) -> str:
    """Name the type of a value, with its article."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return "a tensor"
    if type(value) is tuple:
        return f"a tuple of {len(value)}"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def _odd(values: Tensor) -> str:
    """Name what is not finite."""
    return ", ".join(sorted({str(value) for value in values[~torch.isfinite(values)].tolist()}))
