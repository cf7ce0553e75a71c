"""Claims about training methods and networks."""

from __future__ import annotations

from harness.catalogue.claims.model import COST, ERROR, Claim, Comparison

__all__ = ["OF_TRAINING"]

BPTT = {"method": ("bptt",)}
EAGER = {"backend": ("eager",)}
SAVED = "memory.saved_bytes"
SLOPE = "memory.saved_bytes_per_time_step"
TASKS = ("fashion-mnist", "mnist", "nmnist-1100", "nmnist", "fsdd", "smnist-rows", "delayed-xor", "cifar10", "shd")
EASY = ("digits", "digits-rows", "digits-events")
SMALLER = "small networks and data that come along; the paper trains deep convolutional networks"


def _row(*names: str) -> dict[str, tuple[str, ...]]:
    return {"method": names}


def _net(*names: str) -> dict[str, tuple[str, ...]]:
    return {"topology": names}


OF_TRAINING: tuple[Claim, ...] = (
    Claim(
        "ottt-memory",
        "OTTT needs memory that does not grow with the number of time steps, at the accuracy of BPTT",
        "Xiao et al. (2022)",
        "2210.04195",
        "abstract",
        (
            Comparison(SLOPE, _row("ottt-a"), BPTT, (*EASY, *TASKS), EAGER, size=0.99),
            Comparison(ERROR, _row("ottt-a"), BPTT, TASKS, EAGER, "no worse"),
        ),
        differs=SMALLER,
    ),
    Claim(
        "sltt-costs",
        "SLTT cuts the memory of BPTT by more than 70 % and its time by more than half, at its accuracy",
        "Meng et al. (2023)",
        "2302.14311",
        "abstract",
        (
            Comparison(SAVED, _row("sltt"), BPTT, (*EASY, *TASKS), EAGER, size=0.7),
            Comparison(COST, _row("sltt"), BPTT, (*EASY, *TASKS), EAGER, size=0.5),
            Comparison(ERROR, _row("sltt"), BPTT, TASKS, EAGER, "no worse"),
        ),
        differs=f"{SMALLER}; on a CPU, where a step's backward pass is not what costs",
    ),
    Claim(
        "spide-sparse",
        "SPIDE trains a feedback network with sparse spikes alone, at a fraction of the energy, and stays competitive",
        "Xiao et al. (2023)",
        "2302.00232",
        "abstract",
        (
            Comparison("spikes.training_energy_joules", _row("spide"), BPTT, (*EASY, *TASKS), EAGER),
            Comparison(ERROR, _row("spide"), BPTT, TASKS, EAGER, "no worse"),
        ),
        differs=SMALLER,
    ),
    Claim(
        "ide-memory",
        "Implicit differentiation needs memory that does not grow with the number of time steps, and stays competitive",
        "Xiao et al. (2021)",
        "2109.14247",
        "abstract",
        (
            Comparison(SLOPE, _row("ide"), BPTT, (*EASY, *TASKS), EAGER, size=0.99),
            Comparison(ERROR, _row("ide"), BPTT, TASKS, EAGER, "no worse"),
        ),
        differs=SMALLER,
    ),
    Claim(
        "eprop-bptt",
        "e-prop learns online, and comes close to BPTT in recurrent networks",
        "Bellec et al. (2020), Nature Communications",
        "",
        "abstract",
        (
            Comparison(ERROR, _row("eprop"), BPTT, TASKS, {**EAGER, **_net("recurrent")}, "no worse"),
            Comparison(SLOPE, _row("eprop"), BPTT, (*EASY, *TASKS), {**EAGER, **_net("recurrent")}, size=0.99),
        ),
        differs="'close to' is taken as no worse within the board's margin, half a point",
    ),
    Claim(
        "ndot-over-ottt",
        "NDOT, which follows the neuron's dynamics in its traces, is more accurate than OTTT",
        "Jiang et al. (2024)",
        "",
        "CIFAR-10, 94.90 against 93.73 % (table 2 of the paper on BSO)",
        (Comparison(ERROR, _row("ndot-a"), _row("ottt-a"), TASKS, EAGER),),
        differs=SMALLER,
    ),
    Claim(
        "rate-based-cheap",
        "Backpropagation of rates needs less time and memory than BPTT, at its accuracy",
        "Yu et al. (2024)",
        "2410.11488",
        "abstract",
        (
            Comparison(SAVED, _row("rate-based-bp"), BPTT, (*EASY, *TASKS), EAGER),
            Comparison(COST, _row("rate-based-bp"), BPTT, (*EASY, *TASKS), EAGER),
            Comparison(ERROR, _row("rate-based-bp"), BPTT, TASKS, EAGER, "no worse"),
        ),
        differs=SMALLER,
    ),
    Claim(
        "cutoff-steps",
        "Inference may stop early: 1.76 to 2.76 times fewer steps on CIFAR-10 at nearly no loss",
        "Wu et al. (2023)",
        "2301.09522",
        "abstract",
        (Comparison("accuracy.steps_saved_ratio", _row("cutoff"), {}, TASKS, EAGER, "at least", limit=1.76),),
    ),
    Claim(
        "skips-gain",
        "Optimised skip connections make spiking networks 8 points more accurate on event data, mean over networks",
        "Benmeziane et al. (2023)",
        "2303.13563",
        "abstract",
        (
            Comparison(
                ERROR,
                _net("skip-conv"),
                _net("conv"),
                ("nmnist-1100", "nmnist", "cifar10dvs", "dvsgesture", "digits-events"),
                EAGER,
                size=0.08,
            ),
        ),
        differs="skips of one kind at fixed places, not searched for; networks of a few layers",
    ),
    Claim(
        "delays-better",
        "Learned delays between layers make a network without recurrence more accurate on speech",
        "Hammouamri et al. (2023)",
        "2306.17670",
        "abstract",
        (Comparison(ERROR, _net("delayed"), _net("mlp"), ("shd", "ssc", "fsdd"), {**EAGER, **BPTT}),),
        differs="smaller networks; spoken digits where SHD was not run",
    ),
    Claim(
        "full-force-spikes",
        "full-FORCE with one spike a step learns the same signals with fewer spikes",
        "Paul et al. (2022)",
        "2205.13585",
        "abstract",
        (
            Comparison(
                "tracking.firing_rate_hertz",
                _row("full-force-ttfs"),
                _row("full-force"),
                ("two-sines", "accordion"),
                EAGER,
            ),
            Comparison(
                "tracking.normalised_error_fraction",
                _row("full-force-ttfs"),
                _row("full-force"),
                ("two-sines", "accordion"),
                EAGER,
                "no worse",
            ),
        ),
        differs="the accordion and a sum of sines, of the abstract's eight systems",
    ),
)
