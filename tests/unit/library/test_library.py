"""Spikeboard in a script: networks by name, traces of states, records as frames, tables that a notebook shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synthetic import record

import spikeboard
from harness.catalogue.cell import Cell
from harness.results.record import Metric
from harness.results.store import Store
from spikeboard import UnknownNameError, UnsupportedError, UserError

ERROR = Metric(value=0.03, unit="fraction", direction="lower", n=359, low=0.01, high=0.05, covers="test samples")


def test_importing_it_costs_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; import spikeboard; from spikeboard import load_records, Cell\n"
        "assert callable(spikeboard.table) and 'run' in dir(spikeboard)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_name_that_it_offers_is_there() -> None:
    for name in spikeboard.__all__:
        assert getattr(spikeboard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'bild_neuron'"):
        _ = spikeboard.bild_neuron


def test_a_network_is_built_from_two_names() -> None:
    network = spikeboard.build_network("mlp", neuron="lif", seed=0)
    assert network(torch.rand(4, 2, 1, 8, 8)).shape == (4, 2, 10)
    again = spikeboard.build_network("mlp", neuron="lif", seed=0)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_has_the_sizes_of_a_task_or_ones_own() -> None:
    network = spikeboard.build_network("conv", "psn", task="digits", channels=(4, 4))
    assert network.neurons()[0].weight.shape == (8, 8)  # T of the task
    own = spikeboard.build_network("mlp", "lif", sample_shape=(3,), classes=2, neuron_params={"tau": 5.0})
    assert own(torch.rand(4, 2, 3)).shape == (4, 2, 2)
    assert own.neurons()[0].decay == pytest.approx(0.8)
    with pytest.raises(ValueError, match="classes"):
        spikeboard.build_network("mlp", "lif", sample_shape=(3,))
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        spikeboard.build_network("mpl", "lif")
    with pytest.raises(ValueError, match="give T="):
        spikeboard.build_network("mlp", "psn", sample_shape=(3,), classes=2)
    with pytest.raises(ValueError, match="neuron_params"):
        spikeboard.build_network("mlp", lambda: spikeboard.build_neuron("lif"), neuron_params={"tau": 2.0})


def test_a_trace_is_the_membrane_of_every_step() -> None:
    neuron, x = spikeboard.build_neuron("lif", tau=2.0, v_threshold=1.0), torch.rand(6, 2, 3) * 2
    seen = spikeboard.run(neuron, x, record=("v",))
    v, expected = torch.zeros(2, 3), []
    for x_t in x:
        h = 0.5 * v + x_t
        v = h - (h >= 1).float()
        expected.append(v)
    torch.testing.assert_close(seen.trace("v"), torch.stack(expected))
    assert torch.equal(seen.output, neuron(x))
    assert torch.equal(seen.spikes[0], seen.output)
    assert torch.equal(seen.state.v, seen.trace("v")[-1])
    assert "step" not in vars(neuron)


@pytest.mark.parametrize("topology", ["mlp", "recurrent", "feedback"])
def test_traces_of_a_network_are_those_of_its_layers(topology: str) -> None:
    network = spikeboard.build_network(topology, "cuba-lif", sample_shape=(5,), classes=2, hidden=(4, 3))
    x = torch.rand(6, 2, 5) * 3
    seen = spikeboard.run(network, x, record=("v", "i"))
    assert [tuple(one.shape) for one in seen.traces["i"]] == [(6, 2, 4), (6, 2, 3)]
    assert torch.equal(seen.output, network(x))
    assert [tuple(one.shape) for one in seen.spikes] == [(6, 2, 4), (6, 2, 3)]
    half = spikeboard.run(network, x[:3], record=("v",))
    rest = spikeboard.run(network, x[3:], record=("v",), state=half.state)
    torch.testing.assert_close(torch.cat([half.trace("v", 1), rest.trace("v", 1)]), seen.trace("v", 1))


def test_gradients_flow_through_a_trace() -> None:
    x = torch.rand(4, 1, 2, requires_grad=True)
    spikeboard.run(spikeboard.build_neuron("lif"), x, record="v").trace("v").sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_what_cannot_be_traced_says_why() -> None:
    x = torch.rand(4, 2, 3)
    with pytest.raises(UnknownNameError, match=r"state of LIF: 'u'.*Known: v"):
        spikeboard.run(spikeboard.build_neuron("lif"), x, record=("u",))
    with pytest.raises(UnsupportedError, match="no state to record"):
        spikeboard.run(spikeboard.build_neuron("psn", T=4), x, record=("v",))
    with pytest.raises(UnsupportedError, match="backend='eager': it computes the same"):
        spikeboard.run(spikeboard.build_neuron("lif", backend="compiled"), x, record=("v",))
    assert spikeboard.run(spikeboard.build_neuron("psn", T=4), x).output.shape == x.shape


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = Store(tmp_path / "store")
    for name in ("lif", "if"):
        root.write(
            record(Cell("accuracy", "digits", name, "bptt", "mlp", budget="quick"), metrics={"error_fraction": ERROR})
        )
    broken = Cell("accuracy", "digits", "plif", "bptt", "mlp", budget="quick")
    root.write(record(broken, status="diverged", reason="The loss became nan."))
    return root.root


def test_records_are_a_tidy_frame(store: Path) -> None:
    frame = spikeboard.load_records(store)
    assert len(frame) == 3
    lif = frame[frame.neuron == "lif"].iloc[0]
    assert (lif.metric, lif.value, lif.low, lif.unit, lif.n) == ("error_fraction", 0.03, 0.01, "fraction", 359)
    assert bool(lif.current)
    failed = frame[frame.neuron == "plif"].iloc[0]
    assert (failed.status, failed.reason) == ("diverged", "The loss became nan.")
    assert failed.isna()["metric"]
    assert list(spikeboard.load_records([store], neuron="l*").neuron.unique()) == ["lif"]
    assert spikeboard.load_records(store, task="mnist").empty
    with pytest.raises(UserError, match="is not there"):
        spikeboard.load_records(store / "none")


def test_a_table_shows_in_a_notebook_and_in_a_terminal(store: Path) -> None:
    tables = spikeboard.table("neurons", task="digits", stores=store)
    shown = tables._repr_html_()
    assert "<table" in shown
    assert "lif" in shown
    assert "lif" in repr(tables)
    (frame,) = tables.frames()
    assert set(frame["neuron"]) >= {"lif", "if"}
    assert "accuracy.error_fraction.value" in tables.frames(raw=True)[0]
    assert tables.to("md").startswith("**Neuron models")
    with pytest.raises(UserError, match="no records for a table of the board 'neurons' with task 'mnist'"):
        spikeboard.table("neurons", task="mnist", stores=store)
    with pytest.raises(UserError, match="did you mean 'neurons'"):
        spikeboard.table("neuron", stores=store)


def test_what_strangers_wrote_is_shown_and_does_nothing(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b[31m"
    cells = [Cell("accuracy", "<b>", one, "bptt", "mlp", budget="quick") for one in (name, "lif")]
    for cell in cells:
        Store(tmp_path).write(record(cell, metrics={"error_fraction": ERROR}))
    tables = spikeboard.table("neurons", stores=tmp_path)
    assert "<script>" not in tables._repr_html_()
    assert "<b>," not in tables._repr_html_()
    assert "&lt;script&gt;" in tables._repr_html_()
    assert "\x1b" not in repr(tables) + tables._repr_html_()


def test_cells_are_measured_once(tmp_path: Path) -> None:
    lines: list[str] = []
    asked = {"suite": "accuracy", "task": "digits", "neuron": "lif", "method": "bptt", "topology": "mlp"}
    options = {"backend": "eager", "seed": 0, "budget": "smoke", "store": tmp_path / "runs"}
    first = spikeboard.run_cells(**asked, **options, progress=lines.append)
    assert first.summary.counts == {"ok": 1}
    assert len(lines) == 1
    assert lines[0].startswith("ok accuracy digits lif+bptt+mlp")
    again = spikeboard.run_cells(**asked, **options)
    assert again.summary.counts == {}
    assert [one.cell_id for one in again.records] == [one.cell_id for one in first.records]
    assert "error_fraction" in set(again.to_pandas().metric)
