"""The contract of a system that acts, clause by clause, without an environment. Must not know any system by name."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.catalogue.cards import Row
from harness.conformance import Check, require
from reference_impls.building import build
from reference_impls.control import Actor

__all__ = ["ACTOR_CHECKS", "ActorSubject"]

OBSERVATIONS, ACTIONS, HIDDEN = 4, 2, (16, 16)
UPDATES = 60


@dataclass(frozen=True)
class ActorSubject:
    """A row that acts."""

    row: Row

    def built(self) -> Actor:
        """Return a small one, untrained."""
        torch.manual_seed(0)
        given = {"observations": OBSERVATIONS, "actions": ACTIONS, "hidden": HIDDEN}
        actor: Actor = build("system", self.row.name, Actor, {}, given)
        return actor

    @property
    def learns(self) -> bool:
        """Whether its card says that it learns."""
        return bool(self.row.capabilities.learns)

    @property
    def observed(self) -> torch.Tensor:
        """Return observations ``[B, D]`` of zero mean and unit variance."""
        return torch.randn(32, OBSERVATIONS, generator=torch.Generator().manual_seed(1))


def _acts_within_bounds(subject: ActorSubject) -> None:
    actions = subject.built()(100 * subject.observed)
    wanted = (len(subject.observed), ACTIONS)
    require(tuple(actions.shape) == wanted, f"it gives {tuple(actions.shape)}, not [B, A] = {wanted}")
    require(bool(torch.isfinite(actions).all()), "it gives actions that are not finite")
    require(bool((actions.abs() <= 1).all()), "it gives actions beyond -1 and 1")


def _same_again(subject: ActorSubject) -> None:
    first, second = (subject.built()(subject.observed) for _ in range(2))
    require(torch.equal(first, second), "the same seed gives other actions the second time")
    if subject.learns:
        actor = subject.built()
        again = [actor(subject.observed) for _ in range(2)]
        require(torch.equal(*again), "acting changes what is done next: state must not survive a call")


def _each_alone(subject: ActorSubject) -> None:
    actor = subject.built()
    together = actor(subject.observed)
    for index in range(0, len(subject.observed), 8):
        alone = actor(subject.observed[index : index + 1])[0]
        require(torch.allclose(alone, together[index], atol=1e-5), f"observation {index} is answered other in a batch")


def _learns_as_it_says(subject: ActorSubject) -> None:
    """Imitate a linear policy: an actor that learns comes nearer to it."""
    actor, observed = subject.built(), subject.observed
    parameters = list(actor.parameters())
    require(
        bool(parameters) == subject.learns,
        f"its card says learns = {subject.learns}; it has {len(parameters)} parameters",
    )
    if not subject.learns:
        return
    wanted, optimizer = torch.tanh(observed[:, :ACTIONS]), torch.optim.Adam(parameters, lr=1e-2)
    errors = []
    for _ in range(UPDATES):
        error = (actor(observed) - wanted).pow(2).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    early, late = sum(errors[:5]), sum(errors[-5:])
    require(late < 0.8 * early, f"{UPDATES} updates leave an error of {late / 5:.3g}, from {early / 5:.3g}")


def _counts_its_work(subject: ActorSubject) -> None:
    actor, spiking = subject.built(), subject.row.capabilities.spiking
    require(
        (actor.spiking_neuron is not None) == spiking, f"its card says spiking = {spiking}; spiking_neuron does not"
    )
    work = actor.work(subject.observed)
    if work is None:
        require(not subject.learns, "what learns has arithmetic: work must count it")
        return
    require(all(isinstance(count, int) and count >= 0 for count in work), f"work gives {work}: whole numbers from 0")
    require(bool(work.neurons) == spiking, f"work counts {work.neurons} spiking neurons, but spiking = {spiking}")
    one = sum((actor.work(row[None]) or work for row in subject.observed), start=type(work)())
    require(one == work, f"work counts {work} for a batch and {one} for its observations one by one")


ACTOR_CHECKS: tuple[Check[ActorSubject], ...] = (
    Check("acts", "Actions are finite and lie between -1 and 1, whatever is observed.", _acts_within_bounds),
    Check("same again", "The same seed gives the same actions; no state survives.", _same_again),
    Check("each alone", "An action does not depend on its batch.", _each_alone, lambda subject: subject.learns),
    Check("learns", "Gradients move it towards a policy that it is shown, if it learns.", _learns_as_it_says),
    Check("work", "Operations are counted, decision by decision as in a batch.", _counts_its_work),
)
