"""What golden files call a thing, and what the shared vocabulary calls it.

The files keep the names of the code that computed them, and equal letters mean different things there: ``beta`` is
snnTorch's membrane decay and one of GLIF's gates. The table is therefore by file. Must not know torch or a comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DESCRIPTIVE", "SUMMED_TWICE", "TRACES", "constructor_params", "parameter_name", "surrogate_spec"]

DESCRIPTIVE = {
    "N",
    "seed",
    "spike_when",
    "threshold_equals",
    "effective_weight",
    "m1",
    "m2",
    "bernoulli_sample",
    "uniform_noise",
    "implementation",
    "raw_name_meaning",
    "leak_applied",
    "input_is_constant_over_time",
}
"""Keys of a case's ``params`` that describe the vector, not the neuron."""

TRACES = {"v_post": "v", "v_pre_spike": "v", "m_post": "m", "i_post": "i", "i_syn": "i"}
"""For each state trace of a file, the field of the state that holds it after the step."""

# psu.json holds twice the derivative of its own equations for these two parameters, and the plain derivative for
# the input and for alpha: two backward passes were summed there. tests/golden/test_errata.py shows by central
# differences that half is right. A file without the mistake passes as well.
SUMMED_TWICE = {("psu", "weight"), ("psu", "bias")}

_EVERYWHERE = {"tau_decay": "decay", "variant": "estimate", "v_th": "v_threshold", "v_leak": "v_rest"}
_SNNTORCH = {"beta": "decay", "alpha_syn": "current_decay"}
_BY_FILE: Mapping[str, Mapping[str, str]] = {
    "plif": {"init_tau": "tau", "w": "raw_leak"},
    "glif": {"raw_parameters_before_sigmoid": "raw"},
    "lif-beta-snntorch": _SNNTORCH,
    "cuba-lif-snntorch": _SNNTORCH,
    "cuba-lif-spikingjelly": {"voltage_decay": "decay"},
    "ternary-spide": {
        "v_threshold_back": "v_threshold",
        "u_rest_back": "u_rest",
        "spike_amplitude": "amplitude",
        "soft_reset_amount": "reset_amount",
        "leak": "decay",
    },
}
_LEARNED = {"beta": "raw_decay", "alpha": "raw_current_decay", "threshold": "v_threshold"}
_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "plif": {"w": "raw_leak"},
    "lif-beta-snntorch": _LEARNED,
    "cuba-lif-snntorch": _LEARNED,
    "glif": {
        "alpha": "raw_alpha",
        "beta": "raw_beta",
        "gamma": "raw_gamma",
        "tau": "raw_decay",
        "Vth": "raw_v_threshold",
        "leak": "raw_leak",
        "reVth": "raw_reset_amount",
        "conduct": "raw_conductance",
    },
}
# Files that hold gradients of what their neuron learns only when asked.
_SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "lif-beta-snntorch": {"learn_decay": True, "learn_threshold": True},
    "cuba-lif-snntorch": {"learn_decay": True, "learn_threshold": True},
}


def parameter_name(slug: str, name: str) -> str:
    """Return what the learned parameter `name` of the file `slug` is called here."""
    return _PARAMETERS.get(slug, {}).get(name, name)


def constructor_params(slug: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the ``params`` of a case of the file `slug` into keywords of the vocabulary; None is left to the neuron."""
    names = _EVERYWHERE | dict(_BY_FILE.get(slug, {}))
    params = {names.get(key, key): value for key, value in given.items() if key not in DESCRIPTIVE}
    params = {key: value for key, value in params.items() if value is not None} | dict(_SWITCHES.get(slug, {}))
    for key in ("estimate", "reset_mode"):  # some files add an explanation after the word
        if key in params:
            params[key] = params[key].split()[0]
    if "reset_delay" in params:
        params["reset_timing"] = "next_step" if params.pop("reset_delay") else "same_step"
    if params.get("granularity") == "channel":
        params["channels"] = given["N"]
    if "raw" in params:
        params["raw"] = {parameter_name(slug, name): value for name, value in params["raw"].items()}
    if params.pop("model", "LIF") == "IF":
        params["decay"] = 1.0
    return params


def surrogate_spec(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the surrogate of a case without what its code ignores; None for a neuron that nobody differentiates."""
    if given["name"] == "none":
        return None
    used = {key: value for key, value in given["params"].items() if not key.endswith("_ignored")}
    return {"name": given["name"], "params": used}
