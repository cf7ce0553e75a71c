"""full-FORCE: recursive least squares on the recurrent and read-out weights of a pool, with a driven twin as teacher.

Two pools of equal size run side by side: the generator gets the target as an input, the performer learns to make the
same currents without it. There is no loss gradient and no optimizer. Must not know which signal it learns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from reference_impls.api import Network, OptimizerFactory, SpikeCounts, StageReport, TrainingMethod, UpdateReport
from reference_impls.names import check_name

CARD = {
    "name": "full-force",
    "kind": "training",
    "version": 1,
    "title": "full-FORCE",
    "summary": (
        "A generator pool is driven by the target signal; recursive least squares makes the currents and the read-out "
        "of a performer pool follow it, while both run. Afterwards the performer makes the signal on its own."
    ),
    "equations": (
        "q = r_P dt; k = P q; J -= (J q - (J_G r_G dt + Q U_out f)) k^T g; W -= (W q - f) k^T g; P -= k k^T / (1 + q^T "
        "k); P[0] = I / alpha; g = 1 / (1 + q^T k) (normalised) or 1 (raw)"
    ),
    "citations": [
        {
            "authors": "A. Paul, S. Wagner, A. Das",
            "title": "Learning in Feedback-driven Recurrent Spiking Neural Networks using full-FORCE Training",
            "venue": "IJCNN",
            "year": 2022,
            "arxiv": "2205.13585",
            "code": "https://github.com/drexel-DISCO/SNN-full-FORCE (commit 60170a1)",
        },
        {
            "authors": "B. DePasquale, C. J. Cueva, K. Rajan, G. S. Escola, L. F. Abbott",
            "title": "full-FORCE: A target-based method for training recurrent networks",
            "venue": "PLoS ONE 13(2)",
            "year": 2018,
            "arxiv": "1710.03070",
        },
    ],
    "capabilities": {
        "updates": "per_step",
        "structures": ["pool"],
        "neuron": {"membrane": ["double-exponential"]},
        "targets": ["signal"],
        "gradient": False,
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "optimizer_space": [],
    "defaults": {"alpha": 0.5, "target_gain": 3.0, "probability": 0.5, "warmup_trials": 2, "rls_gain": "normalised"},
    "variants": {
        "full-force-raw": {
            "title": "full-FORCE, released gain",
            "summary": "As full-force, with the gain of the released code: steps are 1 + q^T P q times larger.",
            "params": {"rls_gain": "raw"},
        },
        "full-force-ttfs": {
            "title": "full-FORCE, one spike a step",
            "summary": (
                "Of the neurons at threshold only the first by index fires, or all of them if neuron 0 is among them: "
                "what the released time-to-first-spike variant does."
            ),
            "params": {"tie_rule": "official"},
        },
        "full-force-lowest-index": {
            "title": "full-FORCE, strictly one spike a step",
            "summary": "As full-force-ttfs, without the exception for neuron 0.",
            "params": {"tie_rule": "lowest_index"},
        },
    },
    "aliases": {"full_force": {}, "full_force_ttfs": {"tie_rule": "official"}},
    "divergences": [
        "The released spiking code multiplies errors by P q of the old P, without the normaliser 1 + q^T P q: where "
        "q^T P q > 1 the error after the step has the other sign. That is full-force-raw; full-force has the textbook "
        "gain.",
        "The variant called TTFS computes no time to a first spike: it lets the neurons at threshold fire one by one "
        "in the order of their index; those that wait keep their membrane.",
        "The released settings belong to a step of 0.05 ms; at 1 ms the same currents, rates and updates per second "
        "would be alpha 2, target_gain 0.2 and probability 1/2. The defaults are alpha 0.5 and target_gain 3: with the "
        "restated ones the pools here follow the target while they learn and lose it on their own.",
        "The released scripts run 5 warm-up trials; here 2, of the same training budget.",
        "No hints. The state goes on from trial to trial, in training and in prediction.",
        "The accordion of the paper is not reproduced: see the notes of that task. The sum of two sines is learned.",
    ],
}

GAINS = ("normalised", "raw")
TIE_RULES = ("all", "official", "lowest_index")
STATE = "force."


class FullForce(TrainingMethod):
    """full-FORCE on a `reservoir` of double-exponential LIF neurons, one trial at a time.

    Parameters
    ----------
    alpha : P starts at ``I / alpha``.
    target_gain : Q, weight of the target at the generator.
    probability : chance of a least-squares update at a step.
    warmup_trials : trials without learning before the first update.
    rls_gain : ``normalised`` (textbook) or ``raw`` (released code).
    tie_rule : which of the neurons at threshold fire: ``all``, ``official`` or ``lowest_index``.

    `prepare` draws the generator's input weights and the random states at which both pools start. P is held in
    float64 whatever the network's type. Golden vectors from the authors' classes, rate and TTFS.
    Shapes: ``x[T, 1, inputs]``, target signals ``[T, 1, outputs]``.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        target_gain: float = 3.0,
        probability: float = 0.5,
        warmup_trials: int = 2,
        rls_gain: str = "normalised",
        tie_rule: str = "all",
    ) -> None:
        if not alpha > 0 or not 0 < probability <= 1 or warmup_trials < 0:
            raise ValueError(
                f"alpha must be positive, probability in (0, 1], warmup_trials not negative; got {alpha}, "
                f"{probability}, {warmup_trials}"
            )
        self.alpha = alpha
        self.target_gain = target_gain
        self.probability = probability
        self.warmup_trials = warmup_trials
        self.normalised = check_name("rls_gain", rls_gain, GAINS) == "normalised"
        self.tie_rule = check_name("tie_rule", tie_rule, TIE_RULES)
        self.trials = 0

    @torch.no_grad()
    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a pool; `optimizer` is not used, for least squares has none."""
        if network.structure != "pool":
            raise ValueError(f"full-FORCE trains a recurrent pool; this network's structure is {network.structure!r}")
        performer: Any = network
        if not hasattr(performer.neuron, "selection"):
            raise ValueError(f"full-FORCE needs LIF with double-exponential synapses; this is {performer.neuron}")
        self.network = network
        performer.neuron.selection = self.tie_rule
        weight = performer.input_map.weight
        self.generator = Generator(
            recurrent=performer.recurrent.weight.clone(),
            input_map=weight.abs().max() * _uniform(weight),
            target_map=_uniform(performer.readout.weight.T),
        )
        self.P = torch.eye(performer.size, dtype=torch.float64, device=weight.device) / self.alpha
        self.pools = _random_pools(performer)

    @torch.no_grad()
    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Run one trial, learning on the way unless it is a warm-up trial; the loss is the normalised error."""
        if x.shape[1] != 1:
            raise ValueError(f"full-FORCE learns from one trial at a time; this batch holds {x.shape[1]}")
        performer: Any = self.network
        learning = self.trials >= self.warmup_trials
        self.trials += 1
        draws = (torch.rand(len(x), device=x.device) < self.probability).tolist() if learning else [False] * len(x)
        counts = (SpikeCounts(1), SpikeCounts(1)) if self.count_spikes else ()
        error = torch.zeros_like(target[0, 0])
        for x_t, f, learns in zip(x[:, 0], target[:, 0], draws, strict=True):
            error += (performer.readout(self.pools.rate[1] * performer.dt) - f) ** 2
            self.advance(x_t, f, learns)
            for row, count in enumerate(counts):
                count.add(0, self.pools.spikes[row, None, None])
        loss = float(error.sum() / (target**2).sum())
        return UpdateReport(loss, sum(draws), _stages(len(x), counts))

    def advance(self, x: Tensor, f: Tensor, learn: bool) -> None:
        """Learn if asked to, then let both pools take a step with the input ``[inputs]``.

        The generator is also driven by the target ``f [outputs]``.
        """
        performer: Any = self.network
        rates = self.pools.rate * performer.dt
        wanted = torch.addmv(self.target_gain * (self.generator.target_map @ f), self.generator.recurrent, rates[0])
        if learn:
            self._least_squares(rates[1], wanted, f)
        own = performer.recurrent(rates[1]) + performer.input_map(x)
        self.pools = performer.charge(torch.stack((wanted + self.generator.input_map @ x, own)), self.pools)

    def _least_squares(self, rate: Tensor, wanted: Tensor, f: Tensor) -> None:
        """Move recurrent and read-out weights towards the currents `wanted` and the target, along ``k = P q``."""
        performer: Any = self.network
        q = rate.to(torch.float64)
        k = self.P @ q
        norm = 1 + float(q @ k)
        along = (k / norm if self.normalised else k).to(rate.dtype)
        performer.recurrent.weight.addr_(wanted - performer.recurrent(rate), along)
        performer.readout.weight.addr_(f - performer.readout(rate), along)
        self.P.addr_(k, k, alpha=-1 / norm)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return what the performer reads out on its own, ``[T, 1, outputs]``, from where training left it."""
        performer = tree_map(lambda part: part[1:], self.pools)
        return self.network.run(x, (performer,)).logits

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Refuse: least squares along the trial forms no gradient of a loss."""
        raise TypeError("full-FORCE forms no gradient: its weights follow a recursion of least squares; use update()")

    def state_dict(self) -> dict[str, Tensor]:
        """Return the performer, the generator, P, and where both pools are."""
        pools = {f"pools.{index}": value for index, value in enumerate(tree_flatten(self.pools)[0])}
        own = self.generator._asdict() | pools | {"P": self.P, "trials": torch.tensor(self.trials)}
        return super().state_dict() | {STATE + name: value for name, value in own.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over all of it."""
        super().load_state_dict({name: value for name, value in state.items() if not name.startswith(STATE)})
        own = {name.removeprefix(STATE): value.clone() for name, value in state.items() if name.startswith(STATE)}
        self.generator = Generator(*(own[name] for name in Generator._fields))
        leaves, structure = tree_flatten(self.pools)
        self.pools = tree_unflatten([own[f"pools.{index}"] for index in range(len(leaves))], structure)
        self.P, self.trials = own["P"], int(own["trials"])


class Generator(NamedTuple):
    """The fixed weights of the pool that the target drives."""

    recurrent: Tensor
    """J_G, ``[N, N]``: the performer's at the start."""
    input_map: Tensor
    """``[N, inputs]``, drawn like the performer's."""
    target_map: Tensor
    """``[N, outputs]``, uniform in +-1."""


def _uniform(like: Tensor) -> Tensor:
    return 2 * torch.rand_like(like) - 1


def _random_pools(performer: Any) -> Any:
    """Return generator and performer as a batch of two: membranes between reset and threshold, half of them firing."""
    rest, neuron = performer.at_rest(2), performer.neuron
    v = neuron.v_reset + (neuron.v_threshold - neuron.v_reset) * torch.rand_like(rest.rate)
    return rest._replace(neuron=rest.neuron._replace(v=v), spikes=torch.randint_like(rest.spikes, 2))


def _stages(steps: int, counts: Sequence[SpikeCounts]) -> tuple[StageReport, ...]:
    names = ("generator", "performer")
    if not counts:
        return tuple(StageReport(name, steps) for name in names)
    return tuple(count.report(name, steps) for name, count in zip(names, counts, strict=True))
