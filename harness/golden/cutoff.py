"""Golden comparison of regularisation and cutoff: thresholds, stopping steps, penalty and its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from harness.golden import EXACT, Comparison
from reference_impls.anytime import first_right_step, gap_thresholds, stop_early
from reference_impls.training.cutoff import inverse_cosine, response_of, worst_of_the_right

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, _backend: str) -> Iterator[Comparison]:
    """Yield what the rule and the regulariser give beside the authors' classes."""
    hyper, rule = case.data["hyper_parameters"], case.data["top_k_cutoff"]
    calibration = torch.tensor(rule["calibration_logits_T_B_C"])
    known = torch.tensor(rule["calibration_targets"])
    thresholds = gap_thresholds(calibration.cumsum(0), known, hyper["epsilon"], hyper["bins"])
    yield Comparison("thresholds", thresholds, rule["thresholds_per_step"])
    logits, target = torch.tensor(rule["test_logits_T_B_C"]), torch.tensor(rule["test_targets"])
    early = stop_early(logits.cumsum(0), thresholds)
    yield Comparison("stopping steps", early.steps, rule["stop_step_one_based"], EXACT)
    right = (early.logits.argmax(1) == target).double()
    yield Comparison("accuracy", right.mean(), rule["accuracy"])
    optimal = first_right_step(logits.cumsum(0), target)
    yield Comparison("optimal step", optimal, case.data["optimal_cutoff_timestep"]["per_sample_one_based"], EXACT)
    yield from _regulariser(case.data["regulariser"], hyper, logits, target)


def _regulariser(
    expected: Mapping[str, Any], hyper: Mapping[str, Any], logits: Any, target: Any
) -> Iterator[Comparison]:
    """Compare the penalty of the file's two layers; the second is a function of the first."""
    spikes = torch.tensor(expected["spikes_T_B_N"], requires_grad=True)
    membrane = torch.tensor(expected["membrane_T_B_N"], requires_grad=True)
    second = (spikes * membrane.abs(), membrane.flip(0))
    yield Comparison("second layer's spikes", second[0], expected["second_layer_response_spikes"])
    yield Comparison("second layer's membrane", second[1], expected["second_layer_membrane"])
    responses = [response_of(*layer) for layer in ((spikes, membrane), second)]
    values = torch.stack([inverse_cosine(response, hyper["rcs_beta"]) for response in responses], dim=1)
    yield Comparison("inverse cosine", values, expected["inverse_cosine_B_layer"])
    penalty = worst_of_the_right(values, logits, target, hyper["rcs_n"])
    yield Comparison("penalty", penalty, expected["loss"])
    penalty.backward()
    assert spikes.grad is not None
    assert membrane.grad is not None
    yield Comparison("gradient of spikes", spikes.grad, expected["gradient_spikes"])
    yield Comparison("gradient of membrane", membrane.grad, expected["gradient_membrane"])
