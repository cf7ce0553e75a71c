"""The contract of a system that answers with an image or a grid, clause by clause, on a few windows of drawn events.

The first clauses are asked of a network as it is, trained or not, so that suites can hold what they have trained
against them before they measure it. Must not know any system by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.catalogue.cards import Row
from harness.conformance import Check, require
from harness.measure.activity import count_activity
from reference_impls.building import build
from reference_impls.dense_network import DenseBaseline, DenseNetwork, Windows

__all__ = ["IMAGE_CHECKS", "ImageSubject", "answers_in_shape", "each_alone", "goes_on", "same_again", "sees_no_truth"]

COMPONENTS = {"frames": 1, "flow": 2, "boxes": 8}
"""Numbers that are answered for each pixel, or place of a grid: here a box, its four numbers and three classes."""
STEPS, WINDOWS, BATCH = 4, 2, 2
SMALL = {"base": 4, "window": STEPS // WINDOWS}
"""What a class is offered that has its number of channels as a parameter, so that a contract takes a second, or the
steps of a window."""
LEAST_DIVISOR = 8
UPDATES = 12
PASSES = 10
"""Enough for the running means of norms, which forget a tenth with each."""


def answers_in_shape(network: DenseNetwork, batch: Windows) -> None:
    """Demand a finite image of the target's shape at every step, and one at the end of every window."""
    with torch.no_grad():
        image, said = network.answer(batch.x).image, network.at_windows(batch)
    shape = (batch.x.shape[0], *batch.target.shape[1:])
    require(tuple(image.shape) == shape, f"answers {tuple(image.shape)}, not {shape}")
    require(bool(torch.isfinite(image).all()), "answers with what is not finite")
    require(said.shape == batch.target.shape, f"says {tuple(said.shape)} at the ends of windows")


def same_again(network: DenseNetwork, batch: Windows) -> None:
    """Demand the same answer to the same input: no state survives a call."""
    with torch.no_grad():
        first, second = (network.answer(batch.x).image for _ in range(2))
    require(torch.equal(first, second), "answers the same input in two ways")


def each_alone(network: DenseNetwork, batch: Windows) -> None:
    """Demand that a sample's answer depends on no other sample."""
    with torch.no_grad():
        together, alone = network.answer(batch.x).image, network.answer(batch.x[:, :1]).image
    require(_close(alone, together[:, :1]), "a sample's answer depends on its batch")


def goes_on(network: DenseNetwork, batch: Windows) -> None:
    """Demand that going on from a state gives what the whole sequence would."""
    half = max(1, batch.x.shape[0] // 2)
    with torch.no_grad():
        whole, first = network.answer(batch.x).image, network.answer(batch.x[:half])
        later = network.answer(batch.x[half:], first.states)
    parts = torch.cat([first.image, later.image])
    require(_close(parts, whole), "going on from a state is not what the whole sequence gives")


def sees_no_truth(network: DenseNetwork, batch: Windows) -> None:
    """Demand the same answer without the truth before each window."""
    with torch.no_grad():
        said, blind = network.at_windows(batch), network.at_windows(batch._replace(before=None))
    require(torch.equal(said, blind), "looks at the truth")


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two answers differ by no more than sums in another order, where a rare spike may come a step apart."""
    scale = max(float(other.abs().max()), 1e-3)
    apart = (one - other).abs() > 1e-3 * scale
    return float(apart.double().mean()) < 0.01


@dataclass(frozen=True)
class ImageSubject:
    """A row that answers with an image."""

    row: Row

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of one step: no smaller than four halvings of an image take."""
        able = self.row.capabilities
        side = 2 * max(LEAST_DIVISOR, able.divides)
        return able.input_channels or 2, side, 2 * side

    @property
    def windows(self) -> Windows:
        """Return counts of events, or signed bins, with images to be answered."""
        generator = torch.Generator().manual_seed(1)
        channels, *sides = self.shape
        x = torch.randint(0, 3, (STEPS, BATCH, channels, *sides), generator=generator).float()
        answers = self.row.capabilities.answers
        if answers == "boxes":  # on a grid of the network's own, which a task's contract holds against its labels
            with torch.no_grad():
                sides = list(self.built().answer(x[:, :1]).image.shape[-2:])
        target = torch.rand(WINDOWS, BATCH, COMPONENTS[answers], *sides, generator=generator)
        before = target.roll(1, 0) if answers == "frames" else None
        return Windows(x - 1 if channels == 1 else x, target, before)

    def built(self) -> DenseNetwork:
        """Return a small one, untrained."""
        torch.manual_seed(0)
        given = {"sample_shape": self.shape, "components": COMPONENTS[self.row.capabilities.answers]}
        network: DenseNetwork = build("system", self.row.name, DenseNetwork, {}, given, SMALL)
        return network

    def found(self) -> DenseNetwork:
        """Return a small one, fitted if it is found in closed form, as it is asked."""
        network = self.built()
        if isinstance(network, DenseBaseline):
            network.fit([self.windows])
        return network.eval()


def _asked(clause: Callable[[DenseNetwork, Windows], None]) -> Callable[[ImageSubject], None]:
    """Return a clause about a network as one about a row."""

    def run(subject: ImageSubject) -> None:
        clause(subject.found(), subject.windows)

    return run


def _built_the_same_again(subject: ImageSubject) -> None:
    batch = subject.windows
    first, second = (subject.found() for _ in range(2))
    with torch.no_grad():
        same = torch.equal(first.at_windows(batch), second.at_windows(batch))
    require(same, "the same seed gives another answer the second time")
    same_again(first, batch)


def _learns_as_it_says(subject: ImageSubject) -> None:
    learns, network, batch = subject.row.capabilities.learns, subject.built(), subject.windows
    parameters = list(network.parameters())
    require(bool(parameters) == learns, f"its card says learns = {learns}; it has {len(parameters)} parameters")
    fitted = isinstance(network, DenseBaseline)
    require(
        fitted != learns, f"its card says learns = {learns}; what does not learn is a DenseBaseline, all else is not"
    )
    if not learns:
        return
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    losses = []
    for _ in range(UPDATES):
        loss = (network.at_windows(batch) - batch.target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    early, late = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
    require(late < 0.9 * early, f"{UPDATES} updates leave a loss of {late:.3g}, from {early:.3g}")


def _counts_its_work(subject: ImageSubject) -> None:
    network, spiking = subject.found(), subject.row.capabilities.spiking
    if not network.synapses():
        learns = subject.row.capabilities.learns
        require(not learns and not spiking, "what learns or spikes has arithmetic: synapses must name it")
        return
    with torch.no_grad():  # a network whose norms know nothing of its currents yet may never fire
        for _ in range(PASSES):
            network.train().answer(subject.windows.x)
    activity = count_activity(network, [subject.windows.x], input_kind="mixed")
    require(activity.outside_neurons == 0, f"{activity.outside_neurons} multiplications are in no synapse")
    graded = sum(layer.graded_entries for layer in activity.layers)
    sends = bool(activity.layers) and activity.events > 0 and not graded
    require(
        sends == spiking,
        f"its card says spiking = {spiking}; its layers send {activity.events} spikes, {graded} other values",
    )
    require(not spiking or not activity.problems(), "; ".join(activity.problems()))


IMAGE_CHECKS: tuple[Check[ImageSubject], ...] = (
    Check(
        "answers", "Every step has a finite image, every window one of the target's shape.", _asked(answers_in_shape)
    ),
    Check("same again", "The same seed gives the same answer, and asking changes nothing.", _built_the_same_again),
    Check("each alone", "An answer does not depend on its batch.", _asked(each_alone)),
    Check("goes on", "Going on from a state gives what the whole sequence would.", _asked(goes_on)),
    Check(
        "no truth",
        "The true frame before a window is not looked at, unless its card says so.",
        _asked(sees_no_truth),
        lambda subject: not subject.row.capabilities.sees_truth,
    ),
    Check("learns", "Gradients bring it nearer to images that it is shown, if it learns.", _learns_as_it_says),
    Check("work", "Every product is in a synapse, and what its layers send is what its card says.", _counts_its_work),
)
