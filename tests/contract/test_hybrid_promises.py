"""What the card of hybrid-conv promises: windows, counts, operations of both parts, and one gradient through them."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.measure.activity import count_activity
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.topologies._hybrid import Accumulator

REGISTRY = load_registry()
T, BATCH, CLASSES, SHAPE = 8, 3, 4, (2, 8, 8)
SIZES: dict[str, Any] = {"channels": [4, 6], "strides": [2, 2], "window": 4, "head": [5]}


def hybrid(neuron: str = "lif", more: float = 0.05, **params: Any) -> Any:
    """Build a small hybrid whose layers fire, for their weights are `more` than drawn."""
    torch.manual_seed(0)
    able = REGISTRY.neurons[neuron].capabilities
    build = functools.partial(build_neuron, neuron, **({"T": T} if able.needs_T else {}))
    built = build_network("hybrid-conv", SHAPE, CLASSES, build, **{**SIZES, **params}).double()
    with torch.no_grad():
        for synapse in built.synapses():
            if synapse.source != "rates":
                synapse.module.weight.add_(more)  # type: ignore[operator]
    return built


def recording(steps: int = T) -> Tensor:
    return (torch.rand(steps, BATCH, *SHAPE, generator=torch.Generator().manual_seed(1)) < 0.3).double()


def spikes_of(built: Network, x: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    with built.observed_by(lambda _layer, spikes: found.append(spikes)):
        built.run(x)
    return found


@pytest.mark.parametrize("cleared", [True, False])
@pytest.mark.parametrize("leak", [1.0, 0.7])
def test_sums_are_those_of_the_equation(leak: float, cleared: bool) -> None:
    """``A_k = sum of leak^(t_end - t) s[t]`` over its window, or over all steps if never cleared; waiting shifts it."""
    spikes = (torch.rand(11, 2, 5, dtype=torch.float64) < 0.5).double()
    accumulator = Accumulator(3, leak, cleared)
    for wait in (0, 2):
        sums, ends, held = accumulator(spikes, None, wait)
        assert ends == [wait + 2, wait + 5, wait + 8]
        for total, end in zip(sums, ends, strict=True):
            since = end - 2 if cleared else wait
            wanted = sum(leak ** (end - t) * spikes[t] for t in range(since, end + 1))
            torch.testing.assert_close(total, wanted)
        assert int(held.phase) == (11 - wait) % 3
        # Cut anywhere, it goes on from what it holds.
        parts, at, state = [], 0, None
        for length in (1, 4, 2, 4):
            part, _, state = accumulator(spikes[at : at + length], state, wait)
            parts, at = [*parts, part], at + length
        torch.testing.assert_close(torch.cat(parts), sums)
        assert state is not None
        torch.testing.assert_close(state.total, held.total)


def test_the_network_says_what_its_equations_say() -> None:
    built = hybrid()
    x = recording()
    logits = built.run(x).logits
    spikes = spikes_of(built, x)
    first = functional.conv2d(x.flatten(0, 1), built.blocks[0].synapse.weight, stride=2, padding=1)
    lif = build_neuron("lif")
    torch.testing.assert_close(spikes[0], lif(first.unflatten(0, (T, BATCH))))
    second = functional.conv2d(spikes[0].flatten(0, 1), built.blocks[1].synapse.weight, stride=2, padding=1)
    torch.testing.assert_close(spikes[1], lif(second.unflatten(0, (T, BATCH))))
    assert min(float(layer.detach().mean()) for layer in spikes) > 0.05
    for step in range(T):
        if step % 4 != 3:
            assert not logits[step].any()
            continue
        counted = spikes[1][step - 3 : step + 1].sum(0)
        features = built.head[0](counted).relu().mean((2, 3))
        torch.testing.assert_close(logits[step], built.head[1][-1](features))


@pytest.mark.parametrize("window", [1, 2, 4, 8])
def test_with_a_linear_head_it_is_the_usual_rate_read_out(window: int) -> None:
    """Whatever the window: the mean over time of the logits is the map of the mean spikes. At 1 it reads spikes."""
    built = hybrid(window=window, head=[])
    readout = built.head[0][-1]
    x = recording()
    rates = spikes_of(built, x)[-1].mean(0).mean((2, 3))
    wanted = rates @ readout.weight.T + readout.bias / window
    torch.testing.assert_close(built.run(x).logits.mean(0), wanted)
    if window == 1:
        last = spikes_of(built, x)[-1]
        torch.testing.assert_close(built.run(x).logits, readout(last.mean((3, 4))))


def test_two_half_windows_give_the_gradient_of_one() -> None:
    found = []
    for window in (4, 8):
        built = hybrid(window=window, head=[])
        nn.init.zeros_(built.head[0][-1].bias)
        weights = torch.linspace(-1, 1, BATCH * CLASSES, dtype=torch.float64).view(BATCH, CLASSES)
        (built.run(recording()).logits.sum(0) * weights).sum().backward()
        found.append([block.synapse.weight.grad for block in built.blocks])
    for half, whole in zip(*found, strict=True):
        torch.testing.assert_close(half, whole)
        assert float(whole.abs().sum()) > 0


def test_spikes_are_accumulated_and_sums_are_multiplied() -> None:
    """Operations by hand: fan-outs of spikes in the first part, of sums that are not 0 in the second, once a window."""
    built = hybrid()
    x = recording()
    activity = count_activity(built, [x], input_kind="events")
    first, last = spikes_of(built, x)
    with torch.no_grad():
        sums = torch.stack([last[:4].sum(0), last[4:].sum(0)])
        hidden = torch.stack([built.head[0](part).relu() for part in sums])

    def outputs(spikes: Tensor, weight: Tensor, stride: int) -> int:
        return int(functional.conv2d(spikes, torch.ones_like(weight), stride=stride, padding=1).sum())

    by_name = {synapse.name: synapse for synapse in activity.synapses}
    assert list(by_name) == ["layer1", "layer2", "head1", "readout"]
    maps = [block.synapse.weight for block in built.blocks]
    assert by_name["layer1"].recomputed.accumulates == outputs(x.flatten(0, 1), maps[0], 2)
    assert by_name["layer2"].recomputed.accumulates == outputs(first.flatten(0, 1), maps[1], 2)
    assert by_name["head1"].recomputed.multiply_accumulates == outputs(
        (sums != 0).double().flatten(0, 1), built.head[0].weight, 1
    )
    assert by_name["readout"].recomputed.multiply_accumulates == int((hidden != 0).sum()) * CLASSES
    assert all(by_name[name].recomputed.multiply_accumulates == 0 for name in ("layer1", "layer2"))
    assert all(by_name[name].recomputed.accumulates == 0 for name in ("head1", "readout"))
    assert activity.coverage == 1
    assert activity.problems() == ()


@pytest.mark.parametrize(
    "neuron", ["lif", "if", "plif", "cuba-lif", "glif", "clif", "ternary-lif", "sliding-psn", "psn", "fpt"]
)
def test_the_gradient_of_any_neuron_goes_through_both_parts(neuron: str) -> None:
    built = hybrid(neuron, more=0.2)
    method = build_method("bptt")
    method.prepare(built)
    gradients = method.gradients(recording(), torch.tensor([0, 1, 2]))
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    for synapse in built.synapses():
        weights = [name for name, parameter in built.named_parameters() if parameter is _weight(synapse.module)]
        assert all(float(gradients[name].abs().sum()) > 0 for name in weights), synapse.name
        assert weights


def _weight(module: nn.Module) -> Tensor | None:
    return next((p for name, p in module.named_parameters() if name.endswith("weight")), None)


def test_truncated_windows_that_end_before_the_networks_own_have_a_gradient() -> None:
    """Of its first 2 steps there is no answer yet: nothing to learn, and no error."""
    built = hybrid()
    method: Any = build_method("tbptt", window=2)
    method.prepare(built, lambda parameters: torch.optim.SGD(parameters, 0.1))
    gradients = method.gradients(recording(), torch.tensor([0, 1, 2]))
    assert float(gradients["head.0.weight"].abs().sum()) > 0
    assert float(gradients["blocks.0.synapse.weight"].abs().sum()) > 0, "steps of the answer's own part reach it"


def test_a_sequence_without_an_answer_says_nothing() -> None:
    built = hybrid()
    with torch.no_grad():
        out = built.run(recording(3))
        assert not out.logits.any()
        assert built.run(recording()[3:4], out.states).logits.any(), "the window's last step"


@pytest.mark.parametrize(
    ("method", "neuron", "task", "sentence"),
    [
        ("ottt-a", "if", "moving-shapes", "ottt-a trains chain .*; hybrid-conv is a delayed network"),
        ("qcfs", "if", "moving-shapes", "qcfs trains chain networks; hybrid-conv is a delayed network"),
        ("bptt", "lif", "digits-rows", "hybrid-conv takes samples of 3 dimensions"),
        ("bptt", "lif", "fashion-mnist", "fashion-mnist defines no hybrid-conv network"),
        ("bptt", "lstm", "moving-shapes", "lstm connects the units of a layer itself"),
    ],
)
def test_what_does_not_go_together_is_said(method: str, neuron: str, task: str, sentence: str) -> None:
    said = why_unsupported(Cell("accuracy", task, neuron, method, "hybrid-conv", budget="quick"), REGISTRY) or ""
    assert re.search(sentence, said), said


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"channels": [4, 6], "strides": [2]}, "one positive number for each spiking layer"),
        ({"channels": [], "strides": []}, "one positive number for each spiking layer"),
        ({"kernel_size": 2}, "kernel_size must be odd"),
        ({"window": 0}, "window must be at least 1"),
        ({"leak": 0.0}, "leak must be above 0"),
        ({"leak": 1.1}, "leak must be above 0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hybrid(**params)
    with pytest.raises(ValueError, match="samples of shape"):
        build_network("hybrid-conv", (8,), 2, functools.partial(build_neuron, "lif"))
