"""GRSNN: a spiking network whose neurons are the nodes of a graph, and whose delays are its relations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.building import build
from reference_impls.graphs import Edges, KnowledgeGraph, Work
from reference_impls.link_training import TrainedReasoner
from reference_impls.message_passing import delayed_messages, places_of
from reference_impls.names import check_name
from reference_impls.neurons.cuba_lif import CubaLIF, CubaState

CARD = {
    "name": "grsnn",
    "kind": "system",
    "version": 1,
    "title": "GRSNN: delays as relations",
    "summary": (
        "The entity that is asked about gets a current; spikes go along the facts of the graph, and each relation is a "
        "delay for every neuron. Whoever is reached early, and by many, completes the fact."
    ),
    "equations": (
        "m_e[t] = s_a[t-1-d_e]; u_b[t] = sum_e m_e[t]; I[t] = rho I[t-1] + (e/tau) scale (W u[t] + b); "
        "h[t] = rho v[t-1] + I[t] + g; s[t] = 1 if h[t] >= V; v[t] = h[t] (1 - s[t]); d = round(longest sigmoid(A q)); "
        "g = q at the source; score = MLP([sum_t lambda^(t-1) s[t] / sum_t lambda^(t-1), q])"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Y. Zhu, D. He, Z. Lin",
            "title": "Temporal Spiking Neural Networks with Synaptic Delay for Graph Reasoning",
            "venue": "ICML",
            "year": 2024,
            "arxiv": "2405.16851",
            "code": "https://github.com/pkuxmq/GRSNN (commit 5c9d34e)",
        }
    ],
    "capabilities": {"answers": "links", "spiking": True, "learns": True},
    "defaults": {
        "width": 32,
        "T": 10,
        "longest": 4,
        "delays": "learned",
        "linear_scale": 1.0,
        "negatives": 256,
        "temperature": 1.0,
    },
    "variants": {
        "grsnn-fixed-delays": {
            "title": "GRSNN, delays as drawn",
            "summary": "A delay is drawn for every relation and neuron, and neither learned nor moved by the query.",
            "params": {"delays": "fixed"},
        },
        "grsnn-no-delays": {
            "title": "GRSNN without delays",
            "summary": "All relations look alike: what is left is how near entities are, and the relation asked for.",
            "params": {"delays": "none"},
        },
        "grsnn-scaled": {
            "title": "GRSNN, weaker currents",
            "summary": (
                "Currents are a tenth and wrong answers count by softmax(2 score), as the authors set for FB15k-237, "
                "whose entities have many facts."
            ),
            "params": {"linear_scale": 0.1, "temperature": 0.5},
        },
    },
    "divergences": [
        "The released code builds on TorchDrug; this is the plain network of its equations. GRSNN+ (weights of "
        "relations, layer norm, several aggregations) is not a plain spiking network any more and is not here.",
        "The released code keeps all spikes and sums the delay's trace anew at every step; the recursion over two "
        "states here gives the same numbers (golden vectors), in O(T).",
        "Which edges are hidden while a fact is asked for: those of the batch's facts. The authors hide all edges "
        "between head and tail on some sets (`remove_one_hop`).",
    ],
}

DELAYS = ("learned", "fixed", "none")
LAMBDA = 0.95
"""How much less a spike weighs that comes one step later."""


class Step(NamedTuple):
    """What a step gave, ``[B, N, width]`` each."""

    spikes: Tensor
    arrived: Tensor
    """Sum of the messages."""
    state: CubaState


class _Run(NamedTuple):
    """What a run over T steps gave."""

    features: Tensor
    """``[B, N, width]``, rates in which early spikes weigh more."""
    asked: Tensor
    """``[B, width]``, the query."""
    work: Work


class GRSNN(TrainedReasoner):
    """A spiking network on a knowledge graph (arXiv 2405.16851; equations as in the released code).

    Parameters
    ----------
    width : neurons a node.
    T : time steps.
    longest : largest delay; a spike needs one step and its delay.
    delays : ``learned``: one for every relation (both ways) and neuron, moved by the query; ``fixed``: as drawn;
        ``none``.
    linear_scale : factor on the currents (the authors' kappa).
    v_threshold : at which a neuron fires; queries are currents of half of it, give or take as much.
    negatives, temperature, remove_one_hop : of the loss, see `TrainedReasoner`.

    Golden vectors from the authors' code: one neuron a node and one delay an edge.
    """

    neuron: CubaLIF
    fixed: Tensor

    def __init__(
        self,
        width: int = 32,
        T: int = 10,
        longest: int = 4,
        delays: str = "learned",
        linear_scale: float = 1.0,
        v_threshold: float = 2.0,
        negatives: int = 256,
        temperature: float = 1.0,
        remove_one_hop: bool = False,
    ) -> None:
        super().__init__(negatives, temperature, remove_one_hop)
        if min(width, T) < 1 or longest < 0:
            raise ValueError(f"need neurons, steps and delays, got width {width}, T {T}, longest {longest}")
        self.width, self.T, self.linear_scale = width, T, linear_scale
        self.mode = check_name("delays of grsnn", delays, DELAYS)
        self.longest = 0 if delays == "none" else longest
        neuron: CubaLIF = build("neuron", "alpha-lif", CubaLIF, {"v_threshold": v_threshold})
        self.neuron, self.tau = neuron, 4.0
        self.linear = nn.Linear(width, width)
        self.read_out = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))

    @property
    def spiking_neuron(self) -> CubaLIF:
        """Return the alpha-current LIF of every node."""
        return self.neuron

    def build(self, graph: KnowledgeGraph) -> None:
        """Make what depends on the number of relations."""
        kinds = 2 * graph.relations
        self.query = nn.Embedding(kinds, self.width)
        if self.mode == "learned":
            self.delay = nn.Linear(self.width, kinds * self.width)
        drawn = torch.randint(self.longest + 1, (kinds, self.width)).float()
        self.register_buffer("fixed", drawn if self.mode == "fixed" else torch.zeros_like(drawn))

    def scored(self, queries: Tensor, edges: Edges) -> Tensor:
        """Run the network and read out every node."""
        return self._read(self._run(queries, edges, counting=False))

    @torch.no_grad()
    def work(self, queries: Tensor) -> Work:
        """Count what arrives: what depends on the relation alone (delays, the query's part) is kept, not counted."""
        self.eval()
        edges, batch, nodes = self.graph.edges, len(queries), self.graph.entities
        read = sum(layer.in_features * layer.out_features for layer in self.read_out if isinstance(layer, nn.Linear))
        from_query = self.width * 2 * self.width
        of_read_out = Work(multiply_accumulates=batch * nodes * (read - from_query))
        return self._run(queries, edges, counting=True).work + of_read_out

    def _smooth(self, asked: Tensor) -> Tensor:
        """Return the delays before rounding, ``[B, relations, width]``."""
        if self.mode != "learned":
            return self.fixed.expand(len(asked), *self.fixed.shape)
        return self.longest * torch.sigmoid(self.delay(asked).unflatten(1, (-1, self.width)))

    def _run(self, queries: Tensor, edges: Edges, counting: bool) -> _Run:
        nodes, threshold = self.graph.entities, float(self.neuron.v_threshold)
        asked = self.query(queries[:, 1]) * (threshold / 2) + threshold / 2
        everyone = torch.arange(len(queries), device=queries.device)
        injected = asked.new_zeros(len(queries), nodes, self.width).index_put((everyone, queries[:, 0]), asked)
        features, total, work = torch.zeros_like(injected), 0.0, Work(neurons=injected.numel())
        for t, step in enumerate(self.walk([injected] * self.T, self._smooth(asked), edges)):
            features = features + LAMBDA**t * step.spikes
            total += LAMBDA**t
            work += self._counted(step) if counting else Work()
        return _Run(features / total, asked, work)

    def walk(
        self, injected: Sequence[Tensor], smooth: Tensor, edges: Edges, weight: Tensor | None = None
    ) -> Iterator[Step]:
        """Yield what every step gives.

        Parameters
        ----------
        injected : current into the membranes at each step, ``[B, N, width]``.
        smooth : delays before rounding, ``[B, relations, width]``, at most `longest`.
        edges : of relations that `smooth` has.
        weight : of each edge; None: 1.
        """
        places = places_of(smooth.detach().round().long(), edges, injected[0].shape[1])
        line = _Line(self.longest + 1, injected[0], self.tau, smooth.requires_grad and torch.is_grad_enabled())
        state, arrived = self.neuron.init_state(injected[0]), torch.zeros_like(injected[0])
        current = arrived
        for t, into in enumerate(injected):
            if t:
                arrived = delayed_messages(line.spikes, places, edges, smooth, line.slopes, weight)
                current = self.linear_scale * self.linear(arrived)
            spikes, state = self.neuron.inject(current, into, state)
            line.push(spikes)
            yield Step(spikes, arrived, state)

    def _counted(self, step: Step) -> Work:
        """Count the updates of a step, sums of spikes ``[B, N, width]`` and their product with W: by 1 it is none."""
        fired, ones = int(step.spikes.count_nonzero()), int((step.arrived == 1).sum())
        more = int(step.arrived.count_nonzero()) - ones
        return Work(
            spikes=fired,
            accumulates=fired + int(step.arrived.double().sum()) + ones * self.width,
            multiply_accumulates=more * self.width,
            updates=step.spikes.numel(),
        )

    def _read(self, run: _Run) -> Tensor:
        asked = run.asked[:, None].expand_as(run.features)
        scores: Tensor = self.read_out(torch.cat([run.features, asked], -1))[..., 0]
        return scores


class _Line:
    """The last steps of every node, newest first, and what the derivative of a message by its delay is there."""

    def __init__(self, length: int, like: Tensor, tau: float, learning: bool) -> None:
        self._silence, self._length, self._tau, self._learning = torch.zeros_like(like), length, tau, learning
        self._spikes: list[Tensor] = []
        self._slopes: list[Tensor] = []
        self._first = self._second = torch.zeros_like(like)

    @property
    def spikes(self) -> Tensor:
        """``[K, B, N, n]``."""
        return self._padded(self._spikes)

    @property
    def slopes(self) -> Tensor | None:
        """As `spikes`; None where no delay learns."""
        return self._padded(self._slopes) if self._learning else None

    def push(self, spikes: Tensor) -> None:
        """Take a step; the slope is that of `response_slope`, one step at a time."""
        self._spikes = [spikes, *self._spikes][: self._length]
        if self._learning:
            with torch.no_grad():
                decay = math.exp(-1 / self._tau)
                self._first = decay * self._first + spikes
                self._second = decay * self._second + self._first
                slope = -(math.e / self._tau) * (self._first - self._second / self._tau)
            self._slopes = [slope, *self._slopes][: self._length]

    def _padded(self, steps: list[Tensor]) -> Tensor:
        return torch.stack([*steps, *[self._silence] * (self._length - len(steps))])
