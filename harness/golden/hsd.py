"""Golden comparison of HSD: activation, neuron, step-wise loss, and the gradient of one fine-tuning step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from harness.golden import EXACT, Comparison
from harness.golden.networks import chain
from reference_impls.api import Neuron, build_method, build_neuron
from reference_impls.conversion.activations import qcfs
from reference_impls.training.hsd import spike_like_the_released_neuron, step_wise_divergence

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what each part gives beside the authors' functions."""
    yield from _activation(case.data["qcfs_activation"])
    yield from _neuron(case.data["if_neuron"], backend)
    yield from _loss(case.data["step_wise_loss"])
    yield from _fine_tuning(case.data["fine_tuning_gradient"], backend)


def _activation(expected: Mapping[str, Any]) -> Iterator[Comparison]:
    x = torch.tensor(expected["input"], requires_grad=True)
    up = torch.tensor(expected["clip_up"], requires_grad=True)
    y = qcfs(x, up, expected["levels"])
    yield Comparison("activation", y, expected["output"])
    by_x, by_up = torch.autograd.grad(y, (x, up), torch.tensor(expected["upstream_gradient"]))
    yield Comparison("activation: gradient of the input", by_x, expected["gradient_input"])
    yield Comparison("activation: gradient of up", by_up, expected["gradient_up"])


def _neuron(expected: Mapping[str, Any], backend: str) -> Iterator[Comparison]:
    """Compare the neuron, which here has the file's scale as its threshold and does not divide its input."""
    neuron: Any = build_neuron("if", backend=backend)
    spike_like_the_released_neuron(neuron, expected["scale"], expected["gamma"])
    neuron.v_init = expected["initial_membrane"] * expected["scale"]
    x = torch.tensor(expected["input_T_B_N"], requires_grad=True)
    spikes = neuron(x)
    yield Comparison("neuron: spikes", spikes, expected["spikes"], EXACT)
    (by_x,) = torch.autograd.grad(spikes, x, torch.tensor(expected["upstream_gradient"]))
    yield Comparison("neuron: gradient of the input", by_x, expected["gradient_input"])


def _loss(expected: Mapping[str, Any]) -> Iterator[Comparison]:
    student = torch.tensor(expected["student_logits_T_B_C"], requires_grad=True)
    teacher, target = torch.tensor(expected["teacher_logits_B_C"]), torch.tensor(expected["targets"])
    base = functional.cross_entropy(student.mean(0), target)
    loss = base + step_wise_divergence(student, teacher, expected["temperature"])
    yield Comparison("cross-entropy of the mean over time", base, expected["cross_entropy_of_time_mean"])
    yield Comparison("step-wise loss", loss, expected["loss"])
    (gradient,) = torch.autograd.grad(loss, student)
    yield Comparison("step-wise loss: gradient of the logits", gradient, expected["gradient_student_logits"])


def _fine_tuning(expected: Mapping[str, Any], backend: str) -> Iterator[Comparison]:
    def neuron() -> Neuron:
        return build_neuron("if", backend=backend)

    x, target = torch.tensor(expected["input_T_B_N"]), torch.tensor(expected["targets"])
    weights, biases = ([expected[f"{part}{i}"] for i in (1, 2)] for part in ("W", "b"))
    sizes = [len(weights[0][0]), len(biases[0]), len(biases[1])]
    method: Any = build_method(
        "hsd",
        levels=expected["qcfs_levels"],
        up=expected["clip_up"],
        temperature=expected["temperature"],
        student_steps=expected["student_T"],
        teacher_steps=expected["teacher_T"],
    )
    method.prepare(chain(sizes, neuron, weights, biases))
    yield Comparison("teacher's logits", method.ann_logits(method.teacher, x), expected["teacher_logits"])
    seen = []
    with method.network.observed_by(lambda _layer, spikes: seen.append(spikes.detach())):
        logits = method.network.run(x[: expected["student_T"]]).logits
    yield Comparison("student's spikes", seen[0], expected["student_spikes"], EXACT)
    yield Comparison("student's logits", logits, expected["student_logits"])
    yield Comparison("prediction", method.predict(x), logits.detach().mean(0))
    gradients = method.gradients(x, target)
    here = {
        "W1": "blocks.0.synapse.weight",
        "b1": "blocks.0.synapse.bias",
        "W2": "readout.weight",
        "b2": "readout.bias",
    }
    for name, value in expected["gradients"].items():
        yield Comparison(f"gradient {name}", gradients[here[name]], value)
    yield Comparison("loss", torch.tensor(method.accumulate(x, target).loss), expected["loss"])
