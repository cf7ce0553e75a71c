"""What one neuron computes in one time step at inference, counted from its own trace, and in which form.

A sequential neuron's step is traced by the fused backends; a parallel one's sequence by `tape`, unless it says which
sequential neuron fires the same spikes, and does. Nothing depends on the name or the family of a neuron. Must not know
networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.measure.arithmetic import Arithmetic, EnergyConstants
from harness.measure.steps import Step, charged
from harness.measure.tape import sequence_work
from reference_impls.api import Neuron, ParallelNeuron, SequentialNeuron
from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.program import trace_step

__all__ = ["NeuronWork", "neuron_work", "step_work"]

PROBES = 64
"""Random sequences on which a recurrent form must fire as the neuron does, but for ties within rounding."""
MOST_TIES = 1e-3


@dataclass(frozen=True, slots=True)
class NeuronWork:
    """Operations of one neuron in one step, and what they were counted from."""

    work: Arithmetic
    form: str

    def joules(self, constants: EnergyConstants) -> float:
        """Return the energy of one neuron update."""
        return self.work.joules(constants)


def neuron_work(neuron: Neuron, T: int) -> NeuronWork:
    """Return what an update of `neuron` takes, in sequences of `T` steps.

    A parallel neuron may have ``recurrent_form() -> SequentialNeuron``; it is charged if its spikes are the neuron's.

    Raises
    ------
    UnsupportedError
        If the neuron can be traced in neither way, or does something whose energy is not known.
    """
    if isinstance(neuron, SequentialNeuron):
        return NeuronWork(step_work(neuron), "the traced step")
    if not isinstance(neuron, ParallelNeuron):
        raise UnsupportedError(f"{type(neuron).__name__} has neither a step nor a sequence to be traced")
    recurrent = getattr(neuron, "recurrent_form", None)
    if recurrent is not None:
        form = recurrent()
        if _fires_alike(neuron, form, T):
            return NeuronWork(step_work(form), f"the traced step of {type(form).__name__}, which fires the same spikes")
    work, forms = sequence_work(neuron, T)
    return NeuronWork(work, "; ".join((f"the traced sequence of {T} steps", *dict.fromkeys(forms))))


def step_work(neuron: SequentialNeuron) -> Arithmetic:
    """Return what one traced step takes, its spike and its next state, without its gradient.

    Raises
    ------
    UnsupportedError
        If the step cannot be traced.
    """
    traced = trace_step(neuron, torch.float32)
    following = {f"v{i}": traced.forward.outputs[f"n{i}"] for i in range(len(traced.states))}
    program = traced.forward.only(("s", *(f"n{i}" for i in range(len(traced.states)))))
    steps = [Step(one.name, one.operation, one.arguments) for one in program.body]
    params = [f"p{i}" for i in range(len(traced.params))]
    return charged(steps, params, list(program.outputs.values()), ("x",), following)


@torch.no_grad()
def _fires_alike(neuron: ParallelNeuron, form: SequentialNeuron, T: int) -> bool:
    reference = next(iter(neuron.parameters()), torch.zeros(()))
    form = form.to(reference.device, reference.dtype)
    drawn = torch.rand(T, PROBES, *(neuron.parameter_shape or (1,)), generator=torch.Generator().manual_seed(0))
    x = (2 * drawn).to(reference.device, reference.dtype)
    differ = (neuron.run(x).spikes != form.run(x).spikes).double().mean()
    return bool(differ <= MOST_TIES)
