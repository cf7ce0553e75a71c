"""OTTT: online training through time. A presynaptic trace replaces the unrolled graph, so memory is flat in T."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from reference_impls.api import Signal, State
from reference_impls.training._traces import TracedSpikes, TraceMethod

CARD = {
    "name": "ottt-a",
    "kind": "training",
    "version": 1,
    "title": "OTTT-A: online training through time, accumulated update",
    "summary": (
        "Walks forward in time only. Each synapse keeps a decaying trace of its input spikes; the gradient of a step "
        "is the step's error times the trace. Memory does not grow with T. One optimizer step a batch."
    ),
    "equations": (
        "A_l[t] = decay A_l[t-1] + S_l[t]; g_{l-1} = W_l^T g_l sg(H_{l-1} - v_threshold) inside step t; "
        "dW_l[t] = g_l A_{l-1}[t]^T; the membrane is detached before each step"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Q. Meng, Z. Zhang, D. He, Z. Lin",
            "title": "Online Training Through Time for Spiking Neural Networks",
            "venue": "NeurIPS",
            "year": 2022,
            "arxiv": "2210.04195",
            "code": "https://github.com/pkuxmq/OTTT-SNN (commit c15d5da)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain", "residual", "feedback"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear"], "reset": ["soft"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"update": "accumulated", "mse_weight": 0.05},
    "space": {
        "mse_weight": {"low": 0.0, "high": 0.5},
    },
    "variants": {
        "ottt-o": {
            "title": "OTTT-O: online training through time, online update",
            "summary": "As OTTT-A, but the optimizer steps at every time step.",
            "params": {"update": "online"},
            "capabilities": {"updates": "per_step"},
        },
        "ottt-exact": {
            "title": "OTTT-A, exact switches",
            "summary": (
                "Input and biases are traced too and the read-out is not: with one hidden layer and a detached reset "
                "this is the exact BPTT gradient."
            ),
            "params": {"trace_input": True, "trace_readout": False, "trace_bias": True},
        },
    },
    "aliases": {"ottt": {}},
    "divergences": [
        "The released code leaves the first map untraced, so for an input that varies in time its gradient keeps "
        "only the spatial part; it traces the read-out, whose exact gradient does not need it, and gives biases 1 "
        "instead of the geometric sum. Switches offer both; the default is the code's.",
        "On a feedback network (the paper's VGG-F) the feedback map is traced like any other, and its gradient stays "
        "within the step. The authors start it at 0 and do not restrict its norm; the feedback topology here does "
        "otherwise by default (restriction='none', zero_feedback=True give theirs).",
    ],
}


class OTTT(TraceMethod):
    """Online training through time.

    Parameters
    ----------
    update : ``accumulated`` (OTTT-A): one optimizer step a batch. ``online`` (OTTT-O): one a time step.
    mse_weight : w of the loss of a step, ``((1 - w) CE + w MSE) / T``, MSE against one-hot rows.
    trace_input : whether the first map's gradient uses a trace of the input (released code: no).
    trace_readout : whether the read-out's gradient uses the trace (released code: yes).
    trace_bias : whether a bias's gradient uses the geometric sum of the decay (released code: no).

    `gradients` returns the sum over the steps without stepping, for both kinds of update. Golden vectors from the
    authors' classes, with and without weight standardisation. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    title = "OTTT"

    def __init__(
        self,
        update: str = "accumulated",
        mse_weight: float = 0.05,
        trace_input: bool = False,
        trace_readout: bool = True,
        trace_bias: bool = False,
    ) -> None:
        super().__init__(update, mse_weight, trace_readout)
        self.trace_input = trace_input
        self.trace_bias = trace_bias
        self._geometric = 0.0

    def leak(self, neuron: Any, before: State, after: State) -> float:
        """Fade as the membrane does."""
        decay: float = neuron.decay
        return decay

    def inputs(self, x: Tensor) -> Iterator[Signal]:
        """Yield each step's input, with its own trace if that is asked for; the biases' sum grows alongside."""
        neuron: Any = self.network.neurons()[0]
        self._geometric, trace = 0.0, x.new_zeros(())
        for x_t in x.unbind(0):
            self._geometric = 1 + neuron.decay * self._geometric
            if not self.trace_input:
                yield x_t
                continue
            trace = neuron.decay * trace + x_t
            yield TracedSpikes(x_t, trace)

    def apply(self, synapse: nn.Module, signal: Signal) -> Tensor:
        """Return what `synapse` makes of the spikes; its bias, if traced, has the gradient of the geometric sum."""
        current = super().apply(synapse, signal)
        if not self.trace_bias or self._geometric == 1.0 or synapse is self.network.synapses()[-1].module:
            return current
        for bias in (parameter for name, parameter in synapse.named_parameters() if name.endswith("bias")):
            lift = bias.view(-1, *[1] * (current.dim() - 2))
            current = current + (self._geometric - 1) * (lift - lift.detach())
        return current
