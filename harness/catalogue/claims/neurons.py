"""Claims about neurons."""

from __future__ import annotations

from harness.catalogue.claims.model import COST, ERROR, Claim, Comparison

__all__ = ["OF_NEURONS"]

LIF = {"neuron": ("lif",)}
BPTT = {"method": ("bptt",), "backend": ("eager",)}
SEQUENCES = ("smnist-rows", "smnist", "psmnist", "fsdd", "shd", "ssc")
STATIC = ("fashion-mnist", "mnist", "cifar10", "cifar100")
EVENTS = ("nmnist-1100", "moving-shapes", "nmnist", "cifar10dvs", "dvsgesture")
ALL = (*STATIC, *EVENTS, *SEQUENCES)
SOUND = ("shd", "fsdd")
SMALLER = "small networks and data that come along; the paper trains convolutional networks for hundreds of epochs"


def _row(*names: str) -> dict[str, tuple[str, ...]]:
    return {"neuron": names}


OF_NEURONS: tuple[Claim, ...] = (
    Claim(
        "klif-free",
        "KLIF, which learns the slope of its surrogate, is more accurate than LIF at no additional cost",
        "Jiang and Zhang (2023)",
        "2302.09238",
        "abstract",
        (
            Comparison(ERROR, _row("klif-matched", "klif"), LIF, ALL, BPTT),
            Comparison(COST, _row("klif-matched", "klif"), LIF, ("digits", *ALL), BPTT, "no worse"),
        ),
        differs=SMALLER,
    ),
    Claim(
        "mpe-psn-fast",
        "MPE-PSN trains faster than LIF and is no less accurate",
        "Chen et al. (2024)",
        "2409.04978",
        "abstract",
        (
            Comparison(COST, _row("mpe-psn-matched", "mpe-psn"), LIF, ("digits", *ALL), BPTT),
            Comparison(ERROR, _row("mpe-psn-matched", "mpe-psn"), LIF, ALL, BPTT, "no worse"),
        ),
        differs=f"{SMALLER}; on a CPU, eager PyTorch",
    ),
    Claim(
        "psu-speed",
        "PSU trains sequences three to four times as fast as LIF",
        "Li et al. (2024)",
        "2402.00449",
        "SHD, quoted by a second source; the paper's tables were not seen",
        (Comparison(COST, _row("psu-matched", "psu"), LIF, SOUND, BPTT, size=2 / 3),),
        differs="on a CPU, eager PyTorch; the factor depends on T and on how LIF is run",
    ),
    Claim(
        "psu-sparse",
        "PSU fires less than PSN",
        "Li et al. (2024)",
        "2402.00449",
        "abstract",
        (Comparison("spikes.spikes_per_neuron", _row("psu"), _row("psn"), ALL, BPTT),),
        differs=SMALLER,
    ),
    Claim(
        "psn-sequences",
        "PSN, which sees the whole sequence, is more accurate than LIF on sequences",
        "Fang et al. (2023)",
        "2304.12760",
        "sequential CIFAR-10, 88.45 against 81.50 % (authors' training logs)",
        (
            Comparison(ERROR, _row("psn-matched", "psn"), LIF, SEQUENCES, BPTT),
            Comparison(COST, _row("psn-matched", "psn"), LIF, ("digits", *SEQUENCES), BPTT),
        ),
        differs=SMALLER,
    ),
    Claim(
        "se-adlif-sequences",
        "SE-adLIF, an adaptive LIF with a symplectic Euler step, is more accurate than LIF on sequences",
        "Baronig et al. (2024)",
        "2408.07517",
        "SHD, 95.81 against 90.27 % (quoted in later papers)",
        (
            Comparison(
                ERROR, _row("se-adlif-matched", "se-adlif"), LIF, SEQUENCES, {**BPTT, "topology": ("recurrent", "mlp")}
            ),
        ),
        differs=SMALLER,
    ),
    Claim(
        "se-over-ef",
        "The symplectic step is better than the forward Euler step of the same neuron",
        "Baronig et al. (2024)",
        "2408.07517",
        "SHD, 95.81 against 94.68 % (quoted in later papers)",
        (Comparison(ERROR, _row("se-adlif"), _row("ef-adlif"), SEQUENCES, {**BPTT, "topology": ("recurrent", "mlp")}),),
        differs=SMALLER,
    ),
    Claim(
        "plif-decay",
        "PLIF, which learns its time constant, is more accurate than LIF",
        "Fang et al. (2021)",
        "2007.05785",
        "sequential CIFAR-10, 83.49 against 81.50 % (training logs of the authors of PSN)",
        (Comparison(ERROR, _row("plif-matched", "plif"), LIF, ALL, BPTT),),
        differs=SMALLER,
    ),
    Claim(
        "clif-better",
        "CLIF, with a second, complementary state, is more accurate than LIF",
        "Huang et al. (2024)",
        "2402.04663",
        "CIFAR and event data, tables 1 and 2",
        (Comparison(ERROR, _row("clif-matched", "clif"), LIF, ALL, BPTT),),
        differs=SMALLER,
    ),
    Claim(
        "glif-better",
        "GLIF, with learned gates between kinds of leak, integration and reset, is more accurate than LIF",
        "Yao et al. (2022)",
        "2210.13768",
        "sequential CIFAR-10, 83.66 against 81.50 % (training logs of the authors of PSN)",
        (Comparison(ERROR, _row("glif-matched", "glif"), LIF, ALL, BPTT),),
        differs=SMALLER,
    ),
    Claim(
        "lsnn-memory",
        "A threshold that adapts makes a recurrent LIF network far better on pixel sequences",
        "Bellec et al. (2018)",
        "1803.09574",
        "sequential MNIST, 93 (94.7 when rewired) against 63 %",
        (
            Comparison(
                ERROR,
                _row("alif-lsnn-matched", "alif-lsnn"),
                LIF,
                ("smnist", "psmnist", "smnist-rows"),
                {**BPTT, "topology": ("recurrent", "mlp")},
            ),
        ),
        differs="rows instead of pixels where pixels were not run, and smaller networks",
    ),
    Claim(
        "ternary-better",
        "Ternary spikes are more accurate than binary ones",
        "Guo et al. (2024)",
        "2312.06372",
        "CIFAR and ImageNet tables",
        (Comparison(ERROR, _row("ternary-lif-matched", "ternary-lif"), LIF, ALL, BPTT),),
        differs=SMALLER,
    ),
    Claim(
        "spsn-speed",
        "SPSN trains SHD ten times as fast as LIF, and is more accurate",
        "Yarga and Wood (2023)",
        "2306.12666",
        "abstract",
        (
            Comparison(COST, _row("spsn-sigmoid-bernoulli"), LIF, SOUND, BPTT, size=0.9),
            Comparison(ERROR, _row("spsn-sigmoid-bernoulli"), LIF, SOUND, BPTT),
        ),
        differs="on a CPU, eager PyTorch; spoken digits where SHD was not run",
    ),
    Claim(
        "paralif-speed",
        "ParaLIF trains up to two hundred times as fast as LIF",
        "Yarga and Wood (2025)",
        "https://github.com/NECOTIS/Parallelizable-Leaky-Integrate-and-Fire-Neuron",
        "the authors' README",
        (Comparison("layers.speedup_t2048", _row("paralif-delta"), {}, (), {}, "at least", limit=200.0),),
        differs="one layer on a CPU, T 2048, against LIF as an eager loop",
    ),
    Claim(
        "single-spike-speed",
        "Single-spike networks train up to 14 times as fast as multi-spike ones and fire up to 81 % less",
        "Taylor et al. (2022)",
        "2205.15286",
        "abstract of the later version",
        (
            Comparison(COST, _row("fastsnn-single-spike"), LIF, ("digits", *ALL), BPTT),
            Comparison("spikes.spikes_per_neuron", _row("fastsnn-single-spike"), LIF, ALL, BPTT),
        ),
        differs="that it is faster and sparser is tested, not the factor, which is the best of many",
    ),
    Claim(
        "fpt-exact",
        "LIF by fixed-point iteration trains faster than step by step and loses no accuracy",
        "Feng et al. (2025)",
        "2506.12087",
        "abstract",
        (
            Comparison(COST, _row("fpt-lif", "fpt"), LIF, ("digits", *SEQUENCES), BPTT),
            Comparison(ERROR, _row("fpt-lif", "fpt"), LIF, SEQUENCES, BPTT, "no worse"),
        ),
        differs=f"{SMALLER}; on a CPU, eager PyTorch",
    ),
    Claim(
        "asrnn-operations",
        "Adaptive recurrent spiking networks take 10 to 1000 times fewer operations than recurrent ANNs",
        "Yin et al. (2021)",
        "2103.12593",
        "abstract",
        (Comparison("spikes.energy_joules", _row("asrnn-alif"), _row("lstm", "gru"), SEQUENCES, BPTT, size=0.9),),
        differs="energy of the arithmetic in place of a count of operations; an LSTM of the same width",
    ),
)
