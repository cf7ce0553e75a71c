"""What single neurons promise beyond the contract: their conventions, side by side, and what they refuse."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import SequentialNeuron, UnknownNameError, build_neuron
from reference_impls.neurons.klif import KLIF


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with float64_default():
        yield


def membranes(name: str, inputs: list[float], **params: Any) -> list[float]:
    """Return the state's membrane after every step of a single neuron."""
    neuron = build_neuron(name, **params)
    assert isinstance(neuron, SequentialNeuron)
    trace, state = [], neuron.init_state(torch.zeros(1))
    for value in inputs:
        _, state = neuron.advance(torch.tensor([value]), state)
        trace.append(float(state.v.detach()))
    return trace


def test_a_late_reset_removes_more_than_one_in_the_same_step() -> None:
    assert membranes("lif", [2.5, 0, 0], v_threshold=1.0) == [1.5, 0.75, 0.375]
    assert membranes("lif-beta-snntorch", [2.5, 0, 0], decay=0.5) == [2.5, 0.25, 0.125]


def test_conventions_agree_where_nothing_fires() -> None:
    quiet = [0.3, -0.2, 0.1, 0.25]
    decayed = membranes("lif-decay-input", quiet)
    assert membranes("lif-box-norse", quiet) == pytest.approx(decayed)
    assert membranes("plif", quiet) == pytest.approx(decayed)
    assert membranes("lif-beta-snntorch", quiet) == pytest.approx(membranes("lif", quiet))
    assert membranes("clif", quiet) == pytest.approx(membranes("lif", quiet))
    expected = membranes("cuba-lif", quiet, v_threshold=9.0)
    assert membranes("cuba-lif-snntorch", quiet, v_threshold=9.0) == pytest.approx(expected)


def test_one_spike_of_clif_removes_more_than_the_threshold() -> None:
    (after,) = membranes("clif", [1.2])
    assert 1.2 - after == pytest.approx(1 + float(torch.sigmoid(torch.tensor(1.0))))


def glif_input() -> Tensor:
    return torch.rand(4, 2, 3, 5, 3, generator=torch.Generator().manual_seed(1)) * 2


def test_channelwise_glif_takes_its_channels_along_dimension_one() -> None:
    neuron, x = build_neuron("glif", T=4, shape=(3, 5, 3)), glif_input()
    by_place = build_neuron("glif", T=4, shape=(3,))
    by_place.load_state_dict({name: value.flatten(-3) for name, value in neuron.state_dict().items()})
    flat = x.movedim(2, -1).reshape(4, -1, 3)
    assert torch.equal(neuron(x).movedim(2, -1).reshape(flat.shape), by_place(flat))
    first = neuron.run(x[:1])
    rest = neuron.run(x[1:], first.state)
    assert torch.equal(torch.cat([first.spikes, rest.spikes]), neuron(x))


def test_glif_knows_no_step_beyond_those_it_was_built_for() -> None:
    neuron, x = build_neuron("glif-layer", T=4), glif_input()
    with pytest.raises(ValueError, match="built for T = 4 time steps and is asked for step 6"):
        neuron.run(x, neuron.run(x[:2]).state)


def test_spides_neuron_sends_no_gradient_unless_a_surrogate_is_given() -> None:
    x = torch.full((4, 1, 2), 0.4)
    assert not build_neuron("ternary-spide", surrogate=None)(x.requires_grad_()).requires_grad
    scaled = build_neuron("ternary-spide", v_threshold=0.3, surrogate=None)(x)
    assert set(scaled.unique().tolist()) <= {-0.6, 0.0, 0.6}
    assert scaled.any()


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("plif", {"tau": 1.0}, "tau must be above 1"),
        ("clif", {"reset_mode": "hard"}, "reset_mode of clif"),
        ("glif-layer", {"T": 4, "leak": 0.0}, "leak of glif must lie strictly between 0 and 1"),
        ("glif", {"T": 4}, "glif has parameters for every channel"),
        ("glif-layer", {"T": 4, "raw": {"raw_tau": 0.0}}, "unknown raw parameter of glif"),
        ("lif-beta-snntorch", {"decay": 1.5}, "decay must lie in"),
        ("lif-beta-snntorch-zero", {"v_reset": 0.5}, "goes to 0, not to v_reset"),
        ("lif-box-norse", {"tau_mem_inv": 2000.0}, "leak of the membrane must lie in"),
        ("cuba-lif", {"current_decay": -0.1}, "current_decay must lie in"),
        ("cuba-lif-norse", {"current_decay": 1.0}, "leak of the current must lie in"),
        ("ternary-lif", {"v_reset": -1.0}, "above -v_threshold"),
        ("ternary-spide", {"u_rest": 0.5}, "amplitude must be positive"),
    ],
)
def test_parameters_out_of_their_domain_are_refused(name: str, params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build_neuron(name, **params)


def test_a_signature_names_every_field_of_the_membrane_that_a_neuron_takes() -> None:
    accepted = inspect.signature(KLIF).parameters
    assert {name: accepted[name].default for name in ("k", "reset_mode", "surrogate")} == {
        "k": 1.0,
        "reset_mode": "soft",
        "surrogate": "sigmoid",
    }
    assert "reset_amount" not in accepted
    with pytest.raises(TypeError, match="KLIF takes no reset_amount"):
        KLIF(reset_amount=2.0)
    with pytest.raises(TypeError, match="v_treshold"):
        KLIF(v_treshold=2.0)
    with pytest.raises(UnknownNameError, match="did you mean 'v_threshold'"):
        build_neuron("klif", v_treshold=2.0)
