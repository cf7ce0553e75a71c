"""A feed-forward network whose layers also see layers further back: the body of ``skip-mlp`` and ``skip-conv``.

Each layer holds one linear map for every layer that is concatenated to its input: a weight over a concatenation is the
sum of its parts, so nothing is copied and the spikes of every source are counted apart. Must not know which linear
maps it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from torch import Tensor, nn

from reference_impls.api import Join, Network, NetworkOutput, Neuron, State, Synapse, over_time

__all__ = ["Skip", "SkipBlock", "SkipNetwork"]

Skip = tuple[int, nn.Module]
"""A skip: the distance to the layer that it leaves (2: the one before last) and the linear map on its way."""


class SkipBlock(nn.Module):
    """A layer: ``I = W (z[-1] + sum of P_k z[-k]) + sum of W_k z[-k]``, and its neurons.

    Parameters
    ----------
    synapse : W, with the layer's bias.
    neuron : what the current feeds.
    added : addition-type skips with their projections P_k (``nn.Identity`` where the shapes agree).
    concatenated : DenseNet-like skips with their share W_k of the concatenation's weight.
    """

    def __init__(
        self, synapse: nn.Module, neuron: Neuron, added: Sequence[Skip] = (), concatenated: Sequence[Skip] = ()
    ) -> None:
        super().__init__()
        self.synapse = synapse
        self.neuron = neuron
        self.projections = nn.ModuleList(module for _, module in added)
        self.taps = nn.ModuleList(module for _, module in concatenated)
        self.distances = (1, *(distance for distance, _ in (*added, *concatenated)))
        """How far back the inputs of `current` lie, in their order."""

    def current(self, previous: Tensor, *skipped: Tensor) -> Tensor:
        """Return what the neurons receive, ``[B, ...]``, from what the layers at `distances` sent."""
        for projection, z in zip(self.projections, skipped, strict=False):
            previous = previous + projection(z)
        total: Tensor = self.synapse(previous)
        for tap, z in zip(self.taps, skipped[len(self.projections) :], strict=True):
            total = total + tap(z)
        return total

    def synapses(self, name: str, source: str) -> tuple[Synapse, ...]:
        """Return the layer's linear maps; `source` is what its first one would be fed with but for projections."""
        projected = [module for module in self.projections if not _is_identity(module)]
        found = [Synapse(name, self.synapse, "mixed" if projected else source)]
        found += [Synapse(f"{name}.projection{i}", module, "spikes") for i, module in enumerate(projected, start=1)]
        found += [Synapse(f"{name}.skip{i}", module, "spikes") for i, module in enumerate(self.taps, start=1)]
        return tuple(found)

    def joins(self, layer: int) -> tuple[Join, ...]:
        """Return what each of `synapses` joins, in a block that is this `layer` of its network."""
        before, *skipped = (layer - distance for distance in self.distances)
        added, tapped = skipped[: len(self.projections)], skipped[len(self.projections) :]
        projected = [i for i, module in zip(added, self.projections, strict=True) if not _is_identity(module)]
        senders = (before, *(i for i in added if i not in projected)) if layer else ()
        return (Join(senders, layer), *(Join((i,), layer) for i in (*projected, *tapped)))


def _is_identity(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity)


class SkipNetwork(Network):
    """Feed-forward network with skips; the first layer sees the sample, the read-out the last layer's spikes."""

    structure = "skip"

    def __init__(self, blocks: Sequence[SkipBlock], readout: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.readout = readout
        self._reach = max(distance for block in blocks for distance in block.distances)

    def layers(self) -> tuple[SkipBlock, ...]:
        """Return the layers, first to last."""
        return tuple(block for block in self.blocks if isinstance(block, SkipBlock))

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer, keeping spikes as long as a layer ahead may ask for them."""
        sent, after, losses = deque([x], maxlen=self._reach), [], []
        for index, block in enumerate(self.layers()):
            current = over_time(block.current, *(sent[-distance] for distance in block.distances))
            out = block.neuron.run(current, None if states is None else states[index])
            sent.append(out.spikes)
            after.append(out.state)
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss)
        logits = over_time(self.readout, sent[-1])
        return NetworkOutput(logits, tuple(after), sum(losses[1:], losses[0]) if losses else None)

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neuron of every layer."""
        return tuple(block.neuron for block in self.layers())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps of every layer, and the read-out."""
        found = [
            synapse
            for index, block in enumerate(self.layers())
            for synapse in block.synapses(f"layer{index + 1}", "spikes" if index else "input")
        ]
        return (*found, Synapse("readout", self.readout, "spikes"))

    def joins(self) -> tuple[Join, ...]:
        """Return the layers that each of `synapses` joins; spikes that are added as they are take the next map."""
        found = [join for layer, block in enumerate(self.layers()) for join in block.joins(layer)]
        return (*found, Join((len(self.blocks) - 1,), None))
