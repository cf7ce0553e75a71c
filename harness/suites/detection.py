"""detection: how precisely a network finds moving objects, after the task's training budget.

The workload is that of `harness.suites.common.dense`: whole networks, trained on the true boxes by backpropagation
through all steps. What is judged are the boxes at the end of every window, by COCO's evaluation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.data.boxes import SENSOR
from harness.measure.precision import Boxes, average_precision
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.dense import (
    activity_figures,
    answered,
    capabilities_of,
    check_contract,
    summary_of,
    trained,
    windows,
)
from harness.suites.common.train import limited
from harness.tasks.common.grids import BOX, CLASSES_FROM, Found, read_boxes, read_truth
from harness.workload import Workload
from reference_impls.dense_network import DenseAnswer, Windows, at_ends

CARD = {
    "name": "detection",
    "kind": "suite",
    "version": 1,
    "title": "Detection from events",
    "summary": (
        "Trains a network to say at every place of a grid which box has its centre there (focal loss, smooth L1 on "
        "centre and size, cross-entropy of the class) and judges the boxes at the end of every window by COCO's mean "
        "average precision, of all classes. What crosses between its spiking layers and its head is counted."
    ),
    "exclusive": False,
    "timeout_seconds": 14400.0,
    "typical_seconds": 90.0,
    "targets": ["boxes"],
    "metrics": {
        "average_precision_50_fraction": {
            "short": "mAP at IoU 0.5",
            "title": "mean average precision at an overlap of 0.5",
            "unit": "fraction",
            "direction": "higher",
        },
        "average_precision_fraction": {
            "short": "mAP",
            "title": "mean average precision, mean over overlaps of 0.5 to 0.95",
            "unit": "fraction",
            "direction": "higher",
        },
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and sample",
            "unit": "spikes",
            "direction": "lower",
        },
        "firing_rate": {
            "short": "rate",
            "title": "firing rate",
            "unit": "spikes per neuron and step",
            "direction": "lower",
        },
        "interface_events_per_step": {
            "short": "interface, spikes/step",
            "title": "spikes of the last spiking layer per sample and step",
            "unit": "events",
            "direction": "lower",
        },
        "accumulates_per_sample": {
            "short": "AC",
            "title": "accumulates per sample",
            "unit": "operations",
            "direction": "lower",
        },
        "multiply_accumulates_per_sample": {
            "short": "MAC",
            "title": "multiply-accumulates per sample",
            "unit": "operations",
            "direction": "lower",
        },
        "synaptic_joules": {
            "short": "energy",
            "title": "energy of the synapses per sample",
            "unit": "joules",
            "direction": "lower",
        },
        "parameters": {"title": "parameters", "unit": "parameters", "direction": "lower", "exact": True},
        "updates": {"title": "updates", "unit": "updates", "direction": "none"},
    },
}

FOCUS, SHARE_THERE = 2.0, 0.25
"""Of the focal loss, as published: places that are well told count for little, those with a box for a quarter."""


class Detection(Suite):
    """Train, then compare with the true boxes."""

    def run(self, workload: Workload) -> Answer:
        """Hold the network against its contract, train it and report how precise its boxes are."""
        network, run = trained(workload, _loss, _score)
        test = limited(workload.split.test, workload.budget.test_limit)
        check_contract(network, next(windows(limited(test, 3), 3, workload)), capabilities_of(workload).sees_truth)
        true: list[Boxes] = []
        told: list[Boxes] = []
        for said, batch in answered(network, test, workload):
            if not bool(torch.isfinite(said).all()):
                raise DivergedError("the boxes are not finite")
            place = SENSOR // said.shape[-1]
            true += map(_boxes, read_truth(batch.target.flatten(0, 1), place))
            told += map(_boxes, read_boxes(said.flatten(0, 1), place))
        precision = average_precision(true, told, workload.task_card.classes - CLASSES_FROM)
        counts, activity = activity_figures(network, test, workload)
        if activity is not None and "spikes_per_neuron" in counts:
            last = activity.layers[-1]
            counts["interface_events_per_step"] = Measurement(last.events / last.sample_steps)
        figures = {
            "average_precision_50_fraction": Measurement(precision.at_half, n=len(true)),
            "average_precision_fraction": Measurement(precision.strict, n=len(true)),
            "parameters": Measurement(float(sum(parameter.numel() for parameter in network.parameters()))),
            "updates": Measurement(float(run.updates)),
            **counts,
        }
        details = {
            "true_boxes": sum(len(one.classes) for one in true),
            "told_boxes": sum(len(one.classes) for one in told),
        }
        return Answer(figures, details=summary_of(workload, run, activity) | details)


def _boxes(found: Found) -> Boxes:
    edges, classes, scores = (part.cpu() for part in found)
    return Boxes(edges.double().numpy(), classes.numpy(), scores.double().numpy())


def _loss(answer: DenseAnswer, batch: Windows) -> Tensor:
    return _score(at_ends(answer.image, len(batch.target)), batch).mean()


def _score(said: Tensor, batch: Windows) -> Tensor:
    """Return each sample's loss per true box, ``[B]``, of ``said[W, B, 5 + classes, side, side]``."""
    there = batch.target[:, :, 0]
    focal = _focal(said[:, :, 0], there)
    box = functional.smooth_l1_loss(said[:, :, BOX], batch.target[:, :, BOX], reduction="none").sum(2)
    classes = batch.target[:, :, CLASSES_FROM:].argmax(2)
    kind = functional.cross_entropy(said[:, :, CLASSES_FROM:].flatten(0, 1), classes.flatten(0, 1), reduction="none")
    total = focal + there * (box + kind.unflatten(0, there.shape[:2]))
    return total.sum((0, 2, 3)) / there.sum((0, 2, 3)).clamp(min=1)


def _focal(logits: Tensor, there: Tensor) -> Tensor:
    """Return the focal loss of every place (T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017)."""
    plain = functional.binary_cross_entropy_with_logits(logits, there, reduction="none")
    right = torch.exp(-plain)
    weight = SHARE_THERE * there + (1 - SHARE_THERE) * (1 - there)
    return weight * (1 - right) ** FOCUS * plain
