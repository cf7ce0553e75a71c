"""Why the golden comparison halves two gradients of psu.json: finite differences say that the file doubles them."""

from __future__ import annotations

import math

import pytest
import torch

from harness.golden import VECTORS, Case, float64_default, load
from reference_impls.neurons.psu import PSU

LEARNED = [case for case in load(VECTORS / "neurons") if case.slug == "psu" and "weight" in case.data["params"]]
STEP = 1e-6


def smooth_output(case: Case, weight: torch.Tensor, bias: torch.Tensor) -> float:
    """The released equations with the step replaced by the surrogate's own primitive, times grad_output."""
    params = case.data["params"]
    neuron = PSU(params["kind"], params["T"], params["tau"], params["v_threshold"], weight=weight, bias=bias)
    above = neuron.membrane(torch.tensor(case.data["input"])) - params["v_threshold"]
    return float((torch.atan(math.pi * above) / math.pi * torch.tensor(case.data["grad_output"])).sum())


@pytest.mark.parametrize("case", LEARNED, ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_file_holds_twice_the_derivative(case: Case, name: str) -> None:
    with float64_default():
        values = {key: torch.tensor(case.data["params"][key]) for key in ("weight", "bias")}
        given = torch.tensor(case.data["grad_params"][name])
        index = (2, 1) if name == "weight" else (1,)
        ends = []
        for sign in (1, -1):
            moved = {key: value.clone() for key, value in values.items()}
            moved[name][index] += sign * STEP
            ends.append(smooth_output(case, **moved))
        slope = (ends[0] - ends[1]) / (2 * STEP)
    assert slope == pytest.approx(float(given[index]) / 2, rel=1e-5)
