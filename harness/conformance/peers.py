"""The contract of a peer: it computes what the convention on its card says, every time anew.

The reference is our own neuron in that convention. Currents are drawn off any grid, so that no membrane meets the
threshold exactly unless it must; parity is also what the suite ``libraries`` states beside each figure. Must not know
any library by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.catalogue.cards import Row
from harness.conformance import Check, CheckFailedError
from reference_impls.api import SequentialNeuron
from reference_impls.card import PeerCapabilities
from reference_impls.libraries import build_peer, build_reference
from reference_impls.peer import Answered, Peer

__all__ = ["PEER_CHECKS", "Parity", "PeerSubject", "parity_of", "random_input", "reference_answer"]

SHAPES = ((1, 2, 3), (7, 3, 5), (64, 4, 128))
"""(T, B, N): a single step, odd sizes, a long sequence."""


@dataclass(frozen=True, slots=True)
class PeerSubject:
    """A peer row."""

    row: Row

    @property
    def able(self) -> PeerCapabilities:
        """Return what the card says."""
        able: PeerCapabilities = self.row.capabilities
        return able

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """Return the number formats that the card names."""
        return tuple(getattr(torch, name) for name in self.able.dtypes)

    def build(self) -> Peer:
        """Build the peer, whose library must be installed."""
        return build_peer(self.row.name)


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a peer agrees with its reference."""

    spike_mismatch_fraction: float
    gradient_cosine: float

    def problem(self, able: PeerCapabilities) -> str | None:
        """Say how it misses the bounds that its card sets, or return None."""
        if self.spike_mismatch_fraction > able.spike_mismatch_max:
            return f"{self.spike_mismatch_fraction:.2e} of the spikes differ from the reference's"
        if not self.gradient_cosine >= able.gradient_cosine_min:
            return f"the cosine of its gradient with the reference's is {self.gradient_cosine:.9f}"
        return None


def random_input(
    shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device | str = "cpu", seed: int = 20
) -> tuple[Tensor, Tensor]:
    """Return a current ``[T, B, N]`` between -0.5 and 1.5 and a gradient of the spikes, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 0.5
    upstream = torch.randn(shape, generator=generator, dtype=torch.float64)
    return x.to(device, dtype), upstream.to(device, dtype)


def reference_answer(reference: SequentialNeuron, x: Tensor, upstream: Tensor) -> Answered:
    """Return spikes and input gradient of our neuron; zeros where no spike depends on the input yet (T = 1)."""
    leaf = x.clone().requires_grad_()
    spikes = reference(leaf)
    if not spikes.requires_grad:
        return Answered(spikes, torch.zeros_like(x))
    (gradient,) = torch.autograd.grad(spikes, leaf, upstream)
    return Answered(spikes.detach(), gradient)


def parity_of(answered: Answered, reference: Answered) -> Parity:
    """Compare a peer's answer with the reference's; vectors that are both zero have the cosine 1."""
    mismatch = (answered.spikes != reference.spikes).double().mean()
    ours, theirs = (one.gradient.double().flatten() for one in (reference, answered))
    if not ours.any() and not theirs.any():
        return Parity(float(mismatch), 1.0)
    return Parity(float(mismatch), float(ours @ theirs / (ours.norm() * theirs.norm())))


def check_shapes(subject: PeerSubject) -> None:
    for dtype in subject.dtypes:
        for shape in SHAPES:
            answered = subject.build().prepare(*random_input(shape, dtype)).answer()
            for name, tensor in zip(answered._fields, answered, strict=True):
                if tuple(tensor.shape) != shape:
                    raise CheckFailedError(f"input {shape} gave {name} {tuple(tensor.shape)} in {dtype}")


def check_parity(subject: PeerSubject) -> None:
    reference = build_reference(subject.row.name)
    for dtype in subject.dtypes:
        for shape in SHAPES:
            x, upstream = random_input(shape, dtype)
            answered = subject.build().prepare(x, upstream).answer()
            problem = parity_of(answered, reference_answer(reference, x, upstream)).problem(subject.able)
            if problem is not None:
                raise CheckFailedError(f"{problem} (T, B, N = {shape}, {dtype})")
    if not answered.spikes.any():
        raise CheckFailedError("no neuron ever fires, so that parity says nothing")


def check_isolated(subject: PeerSubject) -> None:
    run = subject.build().prepare(*random_input(SHAPES[1], subject.dtypes[0]))
    first = run.answer()
    run.forward()
    second = run.answer()
    if not (torch.equal(first.spikes, second.spikes) and torch.equal(first.gradient, second.gradient)):
        raise CheckFailedError("the second call answers differently: state survives a call")


PEER_CHECKS: tuple[Check[PeerSubject], ...] = (
    Check("shapes", "Spikes and gradient have the shape of the input.", check_shapes),
    Check(
        "parity",
        "Spikes and input gradient are those of our neuron in the same convention, within the card's bounds.",
        check_parity,
    ),
    Check("isolated", "No state survives a call.", check_isolated),
)
