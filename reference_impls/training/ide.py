"""IDE: implicit differentiation on the equilibrium of a feedback spiking network; nothing is unrolled."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, Synapse, TrainingMethod, UpdateReport
from reference_impls.names import check_name
from reference_impls.topologies.feedback import FeedbackNetwork
from reference_impls.training._equilibrium import (
    average_input,
    decay_of,
    feedback_network,
    rate_fed_synapses,
    simulate,
    threshold_of,
)
from reference_impls.training._solvers import SOLVERS

CARD = {
    "name": "ide",
    "kind": "training",
    "version": 1,
    "title": "IDE: implicit differentiation on the equilibrium state",
    "summary": (
        "With constant input the average firing rates of a feedback network approach a fixed point. The gradient is "
        "taken there, by solving a linear equation, so neither time nor memory of the backward pass depends on T."
    ),
    "equations": (
        "a = f(a, x) with clamp((W_fb a + F(x)) / v_threshold, 0, 1) and so on through the layers; "
        "(I - J^T) beta = dL/da; dL/dtheta = beta^T df/dtheta"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Q. Meng, Z. Zhang, Y. Wang, Z. Lin",
            "title": "Training Feedback Spiking Neural Networks by Implicit Differentiation on the Equilibrium State",
            "venue": "NeurIPS (spotlight)",
            "year": 2021,
            "arxiv": "2109.14247",
            "code": "https://github.com/pkuxmq/IDE-FSNN (commit 7da5907)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["feedback"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear"], "reset": ["soft"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"solver": "broyden", "iterations": 30},
    "variants": {
        "ide-jacobian-free": {
            "title": "IDE without the Jacobian",
            "summary": "The linear equation is not solved: beta = dL/da.",
            "params": {"solver": "jacobian_free"},
        },
    },
    "recipe": {"neuron": {"v_threshold": 2.0}},
    "divergences": [
        "The released iterative solver halves beta as well as the residual, so its limit solves (2I - J^T) beta = q "
        "and not (I - J^T) beta = q; it is kept as iter_official, iter_damped is the right one, Broyden the default.",
        "With LIF neurons and event frames the released averaging adds its accumulator to itself; the intended "
        "weighted mean is used here.",
        "With several layers the Jacobian is taken at f(a_T) and the parameter gradient at a_T, as in the code.",
        "Batch norm and variational dropout of the released networks are not in the feedback topology yet.",
    ],
}


class IDE(TrainingMethod):
    """Implicit differentiation on the equilibrium state.

    Parameters
    ----------
    solver : ``broyden``, ``iter_damped``, ``iter_official`` (biased, as released), ``jacobian_free`` or ``dense``
        (exact, for small networks).
    iterations : most steps that an iterative solver may take.

    The number of simulated steps is that of the input, ``x[T, B, ...]``. Counters: ``solver_iterations`` and
    ``solver_residual`` (2-norm over the batch). Golden vectors from the authors' classes.
    """

    def __init__(self, solver: str = "broyden", iterations: int = 30) -> None:
        self.solver = check_name("solver", solver, SOLVERS)
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        self.iterations = iterations

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a feedback network of IF or LIF neurons."""
        super().prepare(feedback_network(network, "IDE"), optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the classifier's logits at the last layer's (weighted) average rate, ``[B, C]``."""
        network = self._feedback
        rates: Tensor = network.classifier(simulate(network, x).weighted[-1])
        return rates

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps; the classifier is fed with rates."""
        return rate_fed_synapses(self._feedback)

    @property
    def _feedback(self) -> FeedbackNetwork:
        assert isinstance(self.network, FeedbackNetwork)
        return self.network

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Simulate to the rates, solve the adjoint equation there, and differentiate f once."""
        network = self._feedback
        network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            rate = simulate(network, x).weighted[-1]
        at_rest = rate.requires_grad_()
        loss = functional.cross_entropy(network.classifier(at_rest), target)
        loss.backward()
        q, rate = at_rest.grad, at_rest.detach()
        assert q is not None
        mean_input = average_input(x, decay_of(network))
        beta, counters = self._adjoint(mean_input, rate, q)
        equilibrium = self._equilibrium_map(network.input_map(mean_input), rate)
        trained = [parameter for parameter in _below_classifier(network) if parameter.requires_grad]
        for parameter, grad in zip(trained, torch.autograd.grad(equilibrium, trained, beta), strict=True):
            parameter.grad = grad if parameter.grad is None else parameter.grad + grad
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters=counters)

    def _equilibrium_map(self, drive: Tensor, rate: Tensor) -> Tensor:
        """Return f(a): once through feedback and all layers, clamped linear maps; `drive` is F(x)."""
        network, v_threshold = self._feedback, threshold_of(self._feedback)
        a = ((network.feedback_map(rate) + drive) / v_threshold).clamp(0, 1)
        for forward_map in network.forward_maps:
            a = (forward_map(a) / v_threshold).clamp(0, 1)
        return a

    def _adjoint(self, mean_input: Tensor, rate: Tensor, q: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Solve ``(I - J^T) beta = q``; J at the rate (one layer) or at its image (several), as in the code."""
        network = self._feedback
        with torch.no_grad():
            drive = network.input_map(mean_input)
            point = rate if len(network.forward_maps) == 0 else self._equilibrium_map(drive, rate)
        point = point.detach().requires_grad_()
        with torch.enable_grad():
            image = self._equilibrium_map(drive, point)

        def residual(beta: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(image, point, beta, retain_graph=True)
            return product - beta + q

        found = SOLVERS[self.solver](residual, q, self.iterations)
        return found.beta, {"solver_iterations": float(found.iterations), "solver_residual": found.residual_norm}


def _below_classifier(network: FeedbackNetwork) -> list[nn.Parameter]:
    classifier = set(network.classifier.parameters())
    return [parameter for parameter in network.parameters() if parameter not in classifier]
