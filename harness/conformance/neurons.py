"""The contract of a neuron, clause by clause.

Every clause is checked in float64 on small random sequences; a stochastic neuron is seeded alike before what is
compared. Must not know any neuron by name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from harness.catalogue.cards import Row
from harness.conformance import Check, CheckFailedError, require
from harness.conformance.vectors import cases_about, check_cases
from harness.golden import VECTORS, Case, float64_default
from reference_impls.api import LayerShape, Neuron, SequentialNeuron, build_neuron
from reference_impls.surrogate import smooth_spikes

__all__ = ["NEURON_CHECKS", "NeuronSubject"]

STEPS, BATCH, FEATURES = 6, 3, 5
SEED = 20
STRONG = 20
BACKEND_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


@dataclass(frozen=True, slots=True)
class NeuronSubject:
    """A neuron row under a backend."""

    row: Row
    backend: str = "eager"
    vectors: Path = VECTORS
    """Folder of golden vectors."""

    def build(
        self,
        T: int = STEPS,
        backend: str | None = None,
        seed: int = SEED,
        shape: LayerShape = (FEATURES,),
        **params: object,
    ) -> Neuron:
        """Build the neuron for `T` steps of a layer of `shape` in float64; `seed` draws its initial parameters."""
        if self.row.capabilities.needs_T:
            params["T"] = T
        torch.manual_seed(seed)
        with float64_default():
            return build_neuron(self.row.name, backend=backend or self.backend, shape=shape, **params)

    @property
    def source_name(self) -> str:
        """Return the name of the card that the row belongs to."""
        return self.row.card.name

    def golden_cases(self) -> list[Case]:
        """Return the vectors of the authors' code that this row's file answers for."""
        return cases_about("neuron", self.source_name, self.vectors)


def current(*shape: int, seed: int = SEED, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return a random input current that makes most neurons fire now and then."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=dtype) * 2.5 - 0.5


def call(neuron: Neuron, x: Tensor) -> Tensor:
    """Run `neuron` with its random draws seeded."""
    torch.manual_seed(SEED)
    spikes: Tensor = neuron(x)
    return spikes


def respond(subject: NeuronSubject, neuron: Neuron, x: Tensor, noise: Tensor) -> Tensor:
    """Run `neuron` with its random draws (if it makes any) replaced by the fractions of `noise`."""
    given = {"noise": noise.remainder(1.0)} if subject.row.capabilities.stochastic else {}
    spikes: Tensor = neuron(x, **given)
    return spikes


def same(subject: NeuronSubject, ours: Tensor, theirs: Tensor) -> bool:
    """Whether two outputs are equal: spikes exactly, analog values but for the rounding of another order of sums."""
    if subject.row.capabilities.output == "analog":
        return torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    return torch.equal(ours, theirs)


def check_shapes(subject: NeuronSubject) -> None:
    for shape in ((BATCH, FEATURES), (BATCH,), (1, 2, 3, 4), (0, FEATURES)):
        x = current(STEPS, *shape)
        s = call(subject.build(shape=shape[1:]), x)
        require(s.shape == x.shape, f"input {tuple(x.shape)} gave spikes {tuple(s.shape)}")
        require(s.dtype == x.dtype, f"input {x.dtype} gave spikes {s.dtype}")
    for steps in (1, 2):
        x = current(steps, BATCH, FEATURES)
        require(call(subject.build(T=steps), x).shape == x.shape, f"T = {steps} changes the shape")
    strided, noise = (current(STEPS, FEATURES, BATCH, seed=seed).transpose(1, 2) for seed in (SEED, 5))
    answers = [respond(subject, subject.build(), x, noise) for x in (strided, strided.contiguous())]
    require(same(subject, *answers), "a non-contiguous input gives other spikes than its contiguous copy")


def check_output(subject: NeuronSubject) -> None:
    s = call(subject.build(shape=(64,)), current(STEPS, 64, 64))
    require(torch.isfinite(s).all(), "spikes are not finite")
    allowed = {"binary": (0.0, 1.0), "ternary": (-1.0, 0.0, 1.0)}.get(subject.row.capabilities.output)
    if allowed is not None:
        odd = sorted(set(s.unique().tolist()) - set(allowed))
        require(not odd, f"output is declared {subject.row.capabilities.output} and holds {odd[:4]}")
    # A slow membrane that weights its input by 1 - decay needs strong currents.
    fires = s.any() or call(subject.build(shape=(64,)), STRONG * current(STEPS, 64, 64)).any()
    require(fires, f"no neuron ever fires on currents up to 2, nor on {STRONG} times as much")


def check_deterministic(subject: NeuronSubject) -> None:
    neuron, x = subject.build(), current(STEPS, BATCH, FEATURES)
    require(torch.equal(call(neuron, x), call(neuron, x)), "the same input and seed give other spikes")


def check_isolated(subject: NeuronSubject) -> None:
    neuron, x = subject.build(), current(STEPS, BATCH, FEATURES)
    before = call(neuron, x)
    call(neuron, current(STEPS, BATCH, FEATURES, seed=99) * 3)
    call(neuron, current(STEPS, 2 * BATCH, FEATURES, seed=7))
    require(torch.equal(before, call(neuron, x)), "a call in between changes the spikes: state survives a call")


def check_batch_invariant(subject: NeuronSubject) -> None:
    neuron, x, noise = subject.build(), current(STEPS, 4, FEATURES), current(STEPS, 4, FEATURES, seed=5)
    whole = respond(subject, neuron, x, noise)
    parts = [respond(subject, neuron, x[:, i : i + 1], noise[:, i : i + 1]) for i in range(4)]
    require(same(subject, whole, torch.cat(parts, 1)), "samples of a batch influence one another")


def check_stepwise(subject: NeuronSubject) -> None:
    neuron, x = subject.build(), current(STEPS, BATCH, FEATURES)
    assert isinstance(neuron, SequentialNeuron)
    state, stepped = neuron.init_state(x[0]), []
    for x_t in x:
        s, state = neuron.advance(x_t, state)
        stepped.append(s)
    require(torch.equal(torch.stack(stepped), neuron(x)), "step by step gives other spikes than the sequence")
    first = neuron.run(x[:2])
    rest = neuron.run(x[2:], first.state)
    joined = torch.cat([first.spikes, rest.spikes])
    require(torch.equal(joined, neuron(x)), "cutting the sequence and passing the state on changes the spikes")
    assert rest.state is not None
    for name, ours, theirs in zip(type(state).__dict__.get("_fields", ()), rest.state, state, strict=True):
        require(torch.allclose(ours, theirs, atol=1e-12), f"state {name} differs after the sequence")


def check_causal(subject: NeuronSubject) -> None:
    neuron, x = subject.build(), current(STEPS, BATCH, FEATURES)
    before = call(neuron, x)
    later = x.clone()
    later[-2:] += 1.5
    require(
        torch.equal(before[:-2], call(neuron, later)[:-2]), "declared causal, but later inputs change earlier spikes"
    )


def check_gradient(subject: NeuronSubject) -> None:
    """Finite differences against autograd, with the step replaced by the surrogate's primitive."""
    attached = {"detach_reset": False} if hasattr(subject.build(backend="eager"), "detach_reset") else {}
    neuron = subject.build(backend="eager", shape=(3,), **attached)
    x = current(STEPS, 1, 3).requires_grad_()
    parameters = [parameter for parameter in neuron.parameters() if parameter.requires_grad]

    def output(x: Tensor, *_parameters: Tensor) -> Tensor:
        return call(neuron, x)

    with smooth_spikes():
        try:
            gradcheck(output, (x, *parameters), eps=1e-6, atol=1e-5)
        except GradcheckError as error:
            # torch prints both Jacobians whole; its first line names what differs.
            raise CheckFailedError(
                f"{str(error).splitlines()[0]} A reset that carries no gradient must hang on `detach_reset`."
            ) from error


def check_state_dict(subject: NeuronSubject) -> None:
    neuron, other, x = subject.build(), subject.build(seed=SEED + 1), current(STEPS, BATCH, FEATURES)
    with torch.no_grad():
        for parameter in neuron.parameters():
            parameter.add_(0.01)
    other.load_state_dict(neuron.state_dict())
    require(torch.equal(call(neuron, x), call(other, x)), "a state dict does not carry everything that was learned")


def check_declared_parameters(subject: NeuronSubject) -> None:
    learned = {name for name, parameter in subject.build().named_parameters() if parameter.requires_grad}
    declared = set(subject.row.capabilities.learnable)
    require(learned == declared, f"the card declares learnable {sorted(declared)}, the module has {sorted(learned)}")


def check_granularity(subject: NeuronSubject) -> None:
    """Count what layers of several shapes learn: none of its sizes may count, channels only, or all."""
    shapes = ((2, 3, 4), (2, 1, 5), (4, 3, 4))
    found = [sum(parameter.numel() for parameter in subject.build(shape=shape).parameters()) for shape in shapes]
    declared = subject.row.capabilities.granularity
    units = [{"layer": 1, "channel": shape[0], "neuron": math.prod(shape)}[declared] for shape in shapes]
    expected = [found[0] * count / units[0] for count in units]
    require(found == expected, f"the card declares one set a {declared}, layers {shapes} learn {found} numbers")
    x = current(STEPS, BATCH, *shapes[0])
    require(call(subject.build(shape=shapes[0]), x).shape == x.shape, f"a layer {shapes[0]} changes the shape")


def check_backend(subject: NeuronSubject) -> None:
    for (dtype, tolerance), shape in itertools.product(BACKEND_TOLERANCE.items(), ((FEATURES,), (2, 1, 3))):
        eager = subject.build(backend="eager", shape=shape).to(dtype)
        other = subject.build(shape=shape).to(dtype)
        other.load_state_dict(eager.state_dict())
        x = current(STEPS, BATCH, *shape, dtype=dtype)
        upstream = current(STEPS, BATCH, *shape, seed=3, dtype=dtype)
        (spikes, gradients), (expected, reference) = (
            _backward(subject, neuron, x, upstream) for neuron in (other, eager)
        )
        require(torch.equal(spikes, expected), f"spikes differ from eager's in {dtype}")
        for name, gradient in gradients.items():
            scale = max(1.0, float(reference[name].abs().max()))
            worst = float((gradient - reference[name]).abs().max())
            require(worst <= tolerance * scale, f"gradient of {name} differs from eager's by {worst:.1e} in {dtype}")


def _backward(subject: NeuronSubject, neuron: Neuron, x: Tensor, upstream: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    leaf = x.clone().requires_grad_()
    spikes = respond(subject, neuron, leaf, upstream)
    (spikes * upstream).sum().backward()
    assert leaf.grad is not None
    found = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in neuron.named_parameters()}
    return spikes.detach(), {"input": leaf.grad, **found}


def check_golden(subject: NeuronSubject) -> None:
    check_cases(subject.golden_cases(), subject.backend)


def _eager(subject: NeuronSubject) -> bool:
    return subject.backend == "eager"


def _if(capability: Callable[[NeuronSubject], bool]) -> Callable[[NeuronSubject], bool]:
    return lambda subject: _eager(subject) and capability(subject)


NEURON_CHECKS: tuple[Check[NeuronSubject], ...] = (
    Check(
        "shapes", "Spikes have the shape and dtype of the input, for any features, T and layout.", check_shapes, _eager
    ),
    Check("output", "Spikes are finite, of the declared kind, and occur.", check_output, _eager),
    Check("deterministic", "The same input and seed give the same spikes.", check_deterministic, _eager),
    Check("isolated", "No state survives a call.", check_isolated, _eager),
    Check("batch-invariant", "Samples of a batch do not influence one another.", check_batch_invariant, _eager),
    Check(
        "stepwise",
        "Step by step, cut in two or at once: the same spikes and state.",
        check_stepwise,
        _if(lambda subject: subject.row.capabilities.parallel == "sequential"),
    ),
    Check(
        "causal",
        "No spike depends on a later input.",
        check_causal,
        _if(lambda subject: subject.row.capabilities.causal),
    ),
    Check("gradient", "With a smooth step, autograd equals finite differences.", check_gradient, _eager),
    Check("state-dict", "A state dict carries everything that was learned.", check_state_dict, _eager),
    Check("declared", "Exactly the declared parameters are learned.", check_declared_parameters, _eager),
    Check(
        "granularity",
        "A layer learns as many numbers as the card's word says, whatever its shape.",
        check_granularity,
        _if(lambda subject: bool(subject.row.capabilities.learnable) and not subject.row.capabilities.connected),
    ),
    Check(
        "golden",
        "Spikes, states and gradients equal the authors' own code.",
        check_golden,
        _if(lambda subject: bool(subject.golden_cases())),
    ),
    Check(
        "equals-eager",
        "Spikes equal the eager backend's, gradients to 1e-10 in float64 and 1e-5 in float32.",
        check_backend,
        lambda subject: not _eager(subject),
    ),
)
