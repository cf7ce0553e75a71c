"""What golden files of neurons call things, in the words of the shared vocabulary.

A file keeps the names of its authors' code, and one name (``beta``) means different things in different files; so
the tables are kept file by file, all of them here. Must not know equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["STATES", "SYNAPSES", "fire_rule", "parameters", "renamed", "surrogate"]

Names = Mapping[str, str | None]

SYNAPSES = {"input_weight": "weight", "input_bias": "bias", "recurrent_weight": "recurrent"}
"""Linear maps around a neuron that some files include, and what they call the gradients of them."""
STATES = {"v_post": "v", "m_post": "m", "w_post": "w", "i_post": "i", "i_syn": "i", "b_post": "b"}
"""Traces of a state after each step, and the fields of the state."""

OWN_GRADIENTS = ("bernoulli_straight_through_times_p", "gumbel_softmax_straight_through", "none")
"""Gradients that a neuron does not take from the shared surrogates, and the word for none at all."""

# What only describes a vector, in any file.
DESCRIPTIVE = (
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
)

# By file: parameters with another name here, and (None) entries that only describe a vector.
_ADLIF: Names = {
    "reset_spike_detached": "detach_reset",
    "bias": "input_bias",
    "use_recurrent": None,
    "decay_u": None,
    "decay_w": None,
}
_CASCADE: Names = {
    "beta": "decay",
    "alpha": "current_decay",
    "tau_mem": None,
    "tau_syn": None,
    "time_step": None,
    "hard": None,
}
_MPE: Names = {"tau_decay": "decay", "variant": "estimate"}
_NORSE: Names = {"v_th": "v_threshold", "v_leak": "v_rest"}
_SNNTORCH: Names = {"beta": "decay", "alpha_syn": "current_decay"}
NAMES: Mapping[str, Names] = {
    "masked-psn": {"order_k": "order", "lambda": "mask_strength"},
    "sliding-psn": {"order_k": "order"},
    "mpe-psn": _MPE,
    "mpe-psn-unshifted": _MPE,
    "asrnn-alif": {
        "b0": "v_threshold",
        "beta": "adapt_gain",
        "R_m": "resistance",
        "mem_init": "v_init",
        "eta_init": "adapt_init",
    },
    "se-adlif": _ADLIF,
    "ef-adlif": _ADLIF,
    "spsn-sigmoid-bernoulli": _CASCADE,
    "spsn-gumbel-softmax": _CASCADE,
    "paralif-delta": _CASCADE,
    "paralif-threshold": _CASCADE,
    "fastsnn-single-spike": {
        "beta": "decay",
        "weight": "input_weight",
        "bias": "input_bias",
        "max_spikes_per_neuron": None,
    },
    "single-spike-block": {"beta": "decay", "beta_granularity": "granularity", "max_spikes_per_neuron": None},
    "alif-norse-lsnn": {**_NORSE, "beta": "adapt_gain"},
    "rel-psp": {"n_inputs": None, "n_outputs": None, "null_means": None, "weight": None},
    "adaptive-spikenet-lif": dict.fromkeys(("reset_mode", "reset_timing", "transform")),
    "amp-lif": {
        "kind": "gain",
        **dict.fromkeys(("v_threshold", "reset_mode", "output", "transform", "granularity", "decay", "input_gain")),
    },
    "ilc-cuba-lif": {
        "ilc_weight": "lateral_weight",
        "ilc_bias": "lateral_bias",
        "readout_decay": "readout_decay",
        "variant": "lateral",
        "loss": None,
        "T": None,
    },
    "dcls-delay-lif": dict.fromkeys(
        ("kernel", "sigma_effective", "left_padding", "index", "T", "T_out", "kernel_count"),
    ),
    "grsnn-delay": {
        "delay_bound": "longest",
        **dict.fromkeys(("delay_steps", "first_step", "T")),
    },
    "improved-recurrence-snn": {
        "variant": "gate",
        "tau": "current_decay",
        **dict.fromkeys(("input_scale", "hidden_scale", "batch_norm", "dropout", "T")),
    },
    "plif": {"init_tau": "tau", "w": "raw_leak"},
    "glif": {"raw_parameters_before_sigmoid": "raw", "raw_name_meaning": None},
    "lif-beta-snntorch": _SNNTORCH,
    "cuba-lif-snntorch": _SNNTORCH,
    "lif-box-norse": _NORSE,
    "cuba-lif-norse": _NORSE,
    "cuba-lif-spikingjelly": {"voltage_decay": "decay"},
    "ternary-spide": {
        "v_threshold_back": "v_threshold",
        "u_rest_back": "u_rest",
        "spike_amplitude": "amplitude",
        "soft_reset_amount": "reset_amount",
        "leak": "decay",
        "leak_applied": None,
        "input_is_constant_over_time": None,
    },
}

# By file: what is learned, where it is stored raw or called otherwise than the constructor's keyword.
_RAW = {"beta": "raw_decay", "alpha": "raw_current_decay", "threshold": "v_threshold"}
LEARNED: Mapping[str, Mapping[str, str]] = {
    "lif-beta-snntorch": _RAW,
    "cuba-lif-snntorch": _RAW,
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


def _gates(params: dict[str, Any]) -> None:
    """GLIF: raw values by parameter."""
    raw = params["raw_parameters_before_sigmoid"]
    params["raw_parameters_before_sigmoid"] = {renamed("glif", name): value for name, value in raw.items()}


def _late_reset(params: dict[str, Any]) -> None:
    """Name snnTorch's delay as the vocabulary does; its files hold gradients of everything that it can learn."""
    params["reset_timing"] = "next_step" if params.pop("reset_delay") else "same_step"
    params |= {"learn_decay": True, "learn_threshold": True}


def _estimate(params: dict[str, Any]) -> None:
    """MPE-PSN: the word of the estimate has an explanation after it."""
    params["variant"] = params["variant"].split()[0]


def _ternary(params: dict[str, Any]) -> None:
    """Ternary neurons: the IF model is a decay of 1; the word of the reset has an explanation after it."""
    params["reset_mode"] = params["reset_mode"].split()[0]
    if params.pop("model") == "IF":
        params["decay"] = 1.0


def _rates(params: dict[str, Any]) -> None:
    """Norse gives rates per second and a step in seconds: one forward Euler step keeps ``1 - dt rate``."""
    dt = params.pop("dt")
    for rate, decay in {"mem": "decay", "syn": "current_decay", "adapt": "adapt_decay"}.items():
        if (value := params.pop(f"tau_{rate}_inv", None)) is not None:
            params[decay] = 1 - dt * value


GATES = {"v1": "input", "v2": "input+recurrent", "traditional": "none"}

# Parameters that are written in another way than the vocabulary's.
CONVERSIONS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "alif-norse-lsnn": _rates,
    "fastsnn-single-spike": lambda params: params.update(learn_kernels=True),
    "glif": _gates,
    "amp-lif": lambda params: params.update(kind={"amp": "per_step", "mp": "fixed"}[params["kind"]]),
    "improved-recurrence-snn": lambda params: params.update(variant=GATES[params["variant"]]),
    "lif-beta-snntorch": _late_reset,
    "cuba-lif-snntorch": _late_reset,
    "mpe-psn": _estimate,
    "mpe-psn-unshifted": _estimate,
    "ternary-lif": _ternary,
}

# By file: parameters of the surrogate that are the neuron's own here.
SURROGATES: Mapping[str, Mapping[str, str]] = {"psu": {"alpha": "surrogate_alpha"}}


def parameters(slug: str, data: Mapping[str, Any], sequential: bool = False) -> dict[str, Any]:
    """Return what a case of file `slug` gives to its implementation, under the names of the shared vocabulary.

    A parameter that the file leaves open (None) is left to the implementation. `sequential` neurons are also told
    which Heaviside decides a tie.
    """
    given = {key: value for key, value in data["params"].items() if value is not None}
    if slug in CONVERSIONS:
        CONVERSIONS[slug](given)
    names = dict.fromkeys(DESCRIPTIVE) | dict(NAMES.get(slug, {}))
    found = {name: value for key, value in given.items() if (name := names.get(key, key)) is not None}
    if slug in SURROGATES:
        found |= {name: data["surrogate"]["params"][key] for key, name in SURROGATES[slug].items()}
    elif (shape := surrogate(data)) is not None:
        found["surrogate"] = shape
    return found | ({"fire_rule": fire_rule(data)} if sequential else {})


def fire_rule(data: Mapping[str, Any]) -> str:
    """Return which Heaviside decides a tie in a case."""
    return "ge" if ">=" in data["params"]["spike_when"] else "gt"


def renamed(slug: str, name: str) -> str:
    """Return what the parameter or gradient `name` of file `slug` is called here."""
    return LEARNED.get(slug, {}).get(name) or NAMES.get(slug, {}).get(name) or name


def surrogate(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the surrogate of a case, without the parameters that its authors' code takes and ignores.

    None where the case names a gradient that is the neuron's own, not one of the shared shapes.
    """
    if data["surrogate"]["name"].split()[0] in OWN_GRADIENTS:
        return None
    spec = data["surrogate"]
    return {
        "name": spec["name"],
        "params": {key: value for key, value in spec["params"].items() if not key.endswith("_ignored")},
    }
