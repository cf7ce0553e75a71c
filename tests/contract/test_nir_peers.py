"""What other libraries export to NIR gives, read here, the outputs that the library itself computes: bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("nir")
pytest.importorskip("nirtorch", reason="nirtorch is not installed: python -m nox -s peers")

from reference_impls.exchange import from_nir

T, BATCH = 25, 3


def equal(graph: Any, x: Tensor, expected: Tensor, convention: str, **how: Any) -> None:
    found = from_nir(graph, convention, **how)(x)
    assert float((expected != 0).float().mean()) > 0.005, "nothing happened"
    assert torch.equal(found, expected.flatten(2))


def stepwise(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([net(x_t) for x_t in x])


@pytest.mark.parametrize(("mechanism", "reset"), [("subtract", "soft"), ("zero", "hard")])
@pytest.mark.parametrize(("delay", "timing"), [(True, "next_step"), (False, "corrected")])
def test_snntorch(mechanism: str, reset: str, delay: bool, timing: str) -> None:
    snn = pytest.importorskip("snntorch")
    utils = pytest.importorskip("snntorch.utils")
    export = pytest.importorskip("snntorch.export_nir")

    def leaky(n: int) -> nn.Module:
        beta, threshold = torch.linspace(0.6, 0.9, n), torch.ones(n)
        module: nn.Module = snn.Leaky(
            beta=beta, threshold=threshold, init_hidden=True, reset_mechanism=mechanism, reset_delay=delay
        )
        return module

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), leaky(30), nn.Linear(30, 5), leaky(5))
    graph = export.export_to_nir(net, torch.rand(1, 20), ignore_dims=[0])
    utils.reset(net)
    x = torch.rand(T, BATCH, 20) * 8
    equal(graph, x, stepwise(net, x), "snntorch", reset=reset, reset_timing=timing)


def test_snntorch_with_a_loop() -> None:
    snn = pytest.importorskip("snntorch")
    utils = pytest.importorskip("snntorch.utils")
    export = pytest.importorskip("snntorch.export_nir")
    torch.manual_seed(0)
    loop = snn.RLeaky(beta=torch.full((30,), 0.8), threshold=torch.ones(30), linear_features=30, init_hidden=True)
    net = nn.Sequential(nn.Linear(20, 30), loop, nn.Linear(30, 5))
    graph = export.export_to_nir(net, torch.rand(1, 20), ignore_dims=[0])
    utils.reset(net)
    x = torch.rand(T, BATCH, 20) * 8
    torch.testing.assert_close(from_nir(graph, "snntorch")(x), stepwise(net, x))


@pytest.mark.parametrize(
    "make",
    [
        lambda of: of.LIFNode(tau=2.0),
        lambda of: of.LIFNode(tau=3.0, decay_input=False),
        lambda of: of.IFNode(),
        lambda of: of.ParametricLIFNode(),
        lambda of: of.CUBALIFNode(c_decay=0.5, v_decay=0.75),
    ],
)
def test_spikingjelly(make: Callable[[Any], nn.Module]) -> None:
    base = pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir

    assert base is not None
    torch.manual_seed(0)
    parts = [layer.Conv2d(1, 4, 3, padding=1), make(neuron), layer.Flatten(), layer.Linear(4 * 36, 7), make(neuron)]
    net = nn.Sequential(*parts)
    functional.set_step_mode(net, "m")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(4)  # so that the second layer fires too
    graph = export_to_nir(net, torch.rand(2, BATCH, 1, 6, 6))
    functional.reset_net(net)
    x = torch.rand(T, BATCH, 1, 6, 6) * 12
    with torch.no_grad():
        expected = net(x)
    equal(graph, x, expected, "spikingjelly")


@pytest.mark.parametrize("cell", ["LIFBoxCell", "LIFCell", "IAFCell"])
def test_norse(cell: str) -> None:
    norse = pytest.importorskip("norse.torch")
    from norse.torch.utils.export_nir import to_nir

    torch.manual_seed(0)
    net = norse.SequentialState(nn.Linear(20, 30), getattr(norse, cell)(), nn.Linear(30, 5))
    graph = to_nir(net, torch.rand(1, 20))
    x, state, outputs = torch.rand(T, BATCH, 20) * 8, None, []
    with torch.no_grad():
        for x_t in x:
            out, state = net(x_t, state)
            outputs.append(out)
    equal(graph, x, torch.stack(outputs), "norse")
