"""Claims that nothing here can test today: of other tasks, other machines, or rows that are not here.

They stand here so that nobody takes their absence for an oversight. One that names rows becomes testable by itself
when the catalogue has them.
"""

from __future__ import annotations

from harness.catalogue.claims.model import Claim, Comparison

__all__ = ["ELSEWHERE"]

ELSEWHERE: tuple[Claim, ...] = (
    Claim(
        "spikes-0.3",
        "A network of time-to-first-spike neurons reaches the accuracy of its ReLU twin with 0.3 spikes a neuron",
        "Stanojevic et al. (2024)",
        "2306.08744",
        "title and abstract",
        (
            Comparison(
                "spikes.spikes_per_neuron",
                {"method": ("ttfs-b1", "b1-ttfs", "ttfs-identity")},
                {},
                ("mnist", "fashion-mnist", "cifar10"),
                {},
                "at most",
                limit=0.3,
            ),
        ),
    ),
    Claim(
        "t-revsnn-cheap",
        "T-RevSNN takes 8.6 times less memory, half the training time and 1.6 times less energy",
        "Hu et al. (2024)",
        "2405.16466",
        "abstract",
        untestable="the comparison is with spiking transformers on ImageNet, and neither is here",
    ),
    Claim(
        "decoupled-reset-speed",
        "LIF with a decoupled reset trains 6.6 to 16.5 times as fast as LIF step by step",
        "Huang et al. (2024)",
        "2410.03530",
        "abstract",
        (
            Comparison(
                "layers.speedup_t2048",
                {"neuron": ("decoupled-lif", "lif-decoupled-reset")},
                {},
                (),
                {},
                "at least",
                limit=6.57,
            ),
        ),
    ),
    Claim(
        "gated-gru",
        "Gated synaptic currents come close to an LSTM with a tenth of a GRU's multiplications",
        "Ponghiran and Roy (2022)",
        "2109.01905",
        "abstract",
        untestable="the comparison is with GRU and LSTM on TIMIT and LibriSpeech, whose data cannot be handed on",
    ),
    Claim(
        "ilc-return",
        "Connections within a layer raise the return of spiking actors",
        "Chen et al. (2024)",
        "2401.05444",
        "abstract",
        untestable="the tasks are continuous control by reinforcement learning, and there is no such task here",
    ),
    Claim(
        "grsnn-energy",
        "Graph reasoning with spiking neurons and delays takes 20 times less energy than one without spikes",
        "Xiao et al. (2024)",
        "2405.16851",
        "abstract, an estimate",
        untestable="there is no task of graph reasoning here",
    ),
    Claim(
        "evsnn-energy",
        "Video is reconstructed from events at 19.4 (adaptive membranes: 7.8) times less energy than by an ANN",
        "Zhu et al. (2022)",
        "2201.10943",
        "abstract",
        untestable="there is no task of video reconstruction here",
    ),
    Claim(
        "adaptive-spikenet-flow",
        "Learned neuronal dynamics lower the error of optical flow by 13 % against ANNs",
        "Kosta and Roy (2023)",
        "2209.11741",
        "abstract",
        untestable="there is no task of optical flow here",
    ),
    Claim(
        "hybrid-events",
        "A spiking backbone with an ordinary head is more efficient than one without spikes",
        "Kugele et al. (2021)",
        "2112.03423",
        "abstract",
        untestable="there is no hybrid network here",
    ),
    Claim(
        "ipu-speed",
        "Spiking networks train 5 to 10 times as fast on an IPU as on a GPU",
        "Sun et al. (2022)",
        "2211.10725",
        "the authors' laboratory's news page",
        untestable="it needs that processor",
    ),
    Claim(
        "stdbp-chip",
        "One-spike networks infer an image of MNIST in 48 ms at 0.75 mW on a chip",
        "Zhang et al. (2020)",
        "2003.11837",
        "abstract",
        untestable="it needs that chip; energy here is counted from operations",
    ),
)
