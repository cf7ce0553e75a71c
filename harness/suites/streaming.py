"""streaming: when a trained network answers where every edge costs a step, and where none does, from one training.

The weights are those that the cell's accuracy run left; the network reads each test sample under both rollouts. What
crosses the interface between its spiking layers and what reads them is counted meanwhile. Trains nothing.
"""

from __future__ import annotations

from dataclasses import asdict

from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite, share_missed
from harness.suites.common.rollouts import Answers, BothRollouts, read_both
from harness.suites.common.weights import trained_method
from harness.workload import Workload
from reference_impls.api import UnsupportedError
from reference_impls.rollout import why_no_streaming

CARD = {
    "name": "streaming",
    "kind": "suite",
    "version": 1,
    "title": "Streaming",
    "summary": (
        "Reads the trained network of the accuracy run under two rollouts: sequential (a layer sees what the one below "
        "sends at the same step) and streaming (what it sent the step before, so all layers compute at once). Error "
        "after every step of both, steps to the first answer and to the final one, and what crosses the interface "
        "between the spiking layers and what reads them. Before it has said anything a network counts as wrong."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 3.0,
    "metrics": {
        "error_fraction": {
            "short": "error, sequential",
            "title": "test error, sequential rollout",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "streaming_error_fraction": {
            "short": "error, streaming",
            "title": "test error, streaming rollout, when the last input has come through",
            "unit": "fraction",
            "direction": "lower",
        },
        "mean_error_fraction": {
            "short": "error over time, sequential",
            "title": "test error, sequential rollout, mean over all steps until a streaming one ends",
            "unit": "fraction",
            "direction": "lower",
        },
        "streaming_mean_error_fraction": {
            "short": "error over time, streaming",
            "title": "test error, streaming rollout, mean over all steps",
            "unit": "fraction",
            "direction": "lower",
        },
        "first_answer_steps": {
            "short": "first answer, sequential",
            "title": "steps to the first answer, sequential rollout",
            "unit": "time steps",
            "direction": "lower",
        },
        "streaming_first_answer_steps": {
            "short": "first answer, streaming",
            "title": "steps to the first answer that rests on an input, streaming rollout",
            "unit": "time steps",
            "direction": "lower",
        },
        "final_answer_steps": {
            "short": "final answer, sequential",
            "title": "mean steps from which a sample's answer changes no more, sequential rollout",
            "unit": "time steps",
            "direction": "lower",
        },
        "streaming_final_answer_steps": {
            "short": "final answer, streaming",
            "title": "mean steps from which a sample's answer changes no more, streaming rollout",
            "unit": "time steps",
            "direction": "lower",
        },
        "latency_steps": {
            "title": "steps that an input takes to the read-out on the longest path, streaming rollout",
            "unit": "time steps",
            "direction": "lower",
            "exact": True,
        },
        "rollout_mismatch_fraction": {
            "short": "rollouts differ",
            "title": "answers of the streaming rollout that are not those of the sequential one so many steps before",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "interface_events_per_step": {
            "short": "interface, spikes/step",
            "title": "spikes of the last spiking layer per sample and step",
            "unit": "events",
            "direction": "lower",
        },
        "interface_event_bytes_per_step": {
            "short": "interface as events",
            "title": "bytes over the interface per sample and step, an address for each spike",
            "unit": "bytes per time step",
            "direction": "lower",
        },
        "interface_bitmap_bytes_per_step": {
            "title": "bytes over the interface per sample and step, a bit for each neuron",
            "unit": "bytes per time step",
            "direction": "lower",
            "judged": False,
        },
        "interface_dense_bytes_per_step": {
            "short": "interface as numbers",
            "title": "bytes over the interface per sample and step, a float32 of each neuron whenever it is read",
            "unit": "bytes per time step",
            "direction": "lower",
            "judged": False,
        },
    },
}


class StreamingSuite(Suite):
    """Read one network under both rollouts."""

    def validate(self, workload: Workload) -> None:
        """Refuse networks that have no streaming rollout, and neurons whose spikes cannot be followed through one.

        Raises
        ------
        UnsupportedError
            If the network has loops, or the neuron sees later steps, is made for T steps, or sends numbers.
        """
        row = workload.registry.neurons[workload.cell.neuron]
        able = row.capabilities
        if not able.causal:
            raise UnsupportedError(f"streaming answers before the end; {row.name} reads later steps at earlier ones")
        if able.needs_T:
            raise UnsupportedError(
                f"a streaming rollout takes more steps than a sample has; {row.name} is made for a number of them"
            )
        if able.output == "analog":
            raise UnsupportedError(f"streaming counts spikes that cross to the read-out; {row.name} sends numbers")
        reason = why_no_streaming(workload.network())
        if reason is not None:
            raise UnsupportedError(reason)

    def run(self, workload: Workload) -> Answer:
        """Read the cell's trained network."""
        both = read_both(trained_method(workload), workload)
        figures = {**_of("", both.sequential), **_of("streaming_", both.streaming), **_interface(both)}
        figures["latency_steps"] = Measurement(float(both.latency.full))
        figures["rollout_mismatch_fraction"] = Measurement(both.mismatch, n=both.sequential.samples)
        details = {
            "steps": both.steps,
            "latency": both.latency._asdict(),
            "interface": asdict(both.interface),
            "window": both.window,
        }
        return Answer(figures, {**_curve("", both.sequential), **_curve("streaming_", both.streaming)}, details)


def _of(prefix: str, said: Answers) -> dict[str, Measurement]:
    n = said.samples
    return {
        f"{prefix}error_fraction": share_missed(said.errors[-1], n),
        f"{prefix}mean_error_fraction": Measurement(sum(said.errors) / (len(said.errors) * n), n=n),
        f"{prefix}first_answer_steps": Measurement(float(said.first.double().mean()), n=n),
        f"{prefix}final_answer_steps": Measurement(float(said.final.double().mean()), n=n),
    }


def _interface(both: BothRollouts) -> dict[str, Measurement]:
    layer = both.interface
    values = {
        "interface_events_per_step": layer.events / layer.sample_steps,
        "interface_event_bytes_per_step": layer.events * both.address_bytes / layer.sample_steps,
        "interface_bitmap_bytes_per_step": layer.neurons / 8,
        "interface_dense_bytes_per_step": 4 * layer.neurons / both.window,
    }
    return {name: Measurement(value, n=both.sequential.samples) for name, value in values.items()}


def _curve(prefix: str, said: Answers) -> dict[str, Series]:
    points = tuple((float(step), missed / said.samples) for step, missed in enumerate(said.errors, start=1))
    y = f"{prefix}error_fraction"
    return {f"{prefix}error_over_steps": Series(x="T", x_unit="time steps", y=y, y_unit="fraction", points=points)}
