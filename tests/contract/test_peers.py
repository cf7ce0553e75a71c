"""Other libraries' neurons: cards, plan and refusals always; their contract wherever the library is installed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import PRESETS, find_preset
from harness.conformance import Check
from harness.conformance.peers import PEER_CHECKS, PeerSubject, random_input, reference_answer
from harness.measure.clock import TimingProtocol
from harness.planning.plan import Filters, Plan, make_plan
from harness.results.fingerprint import code_hash
from harness.results.store import Store
from harness.suites import libraries
from harness.suites.common.base import DivergedError, to_metrics
from harness.workload import Workload
from reference_impls.api import UnknownNameError, UnsupportedError
from reference_impls.libraries import build_peer, build_reference
from reference_impls.neurons.lif import LIF
from reference_impls.peer import Layer, TorchPeer
from reference_impls.requirements import why_missing

REGISTRY = load_registry()
PINS = Path(__file__).parents[2] / "peers-constraints.txt"
LIBRARIES = {name: pin for row in REGISTRY.peers.values() for name, pin in row.capabilities.requires.items()}
SLOW = {"spikeboard-lif-compiled"}
CONTRACT = [
    pytest.param(PeerSubject(row), check, id=f"{name}-{check.name}", marks=[pytest.mark.slow] * (name in SLOW))
    for name, row in REGISTRY.peers.items()
    for check in PEER_CHECKS
]
REFERENCES = [name for name in REGISTRY.peers if REGISTRY.peers[name].capabilities.reference is not None]


def skip_without(row: str) -> None:
    if "cpu" not in REGISTRY.peers[row].capabilities.devices:
        pytest.skip(f"{row} is one of a GPU")
    missing = why_missing(row, REGISTRY.peers[row].capabilities.requires)
    if missing is not None:
        pytest.skip(missing)


def pretend(monkeypatch: pytest.MonkeyPatch, installed: Mapping[str, str]) -> None:
    """Let `installed` be the versions of the peers' libraries; of anything else the truth is told, which is cached."""

    def answer(name: str) -> str:
        if name in LIBRARIES and name not in installed:
            raise PackageNotFoundError(name)
        return installed.get(name) or version(name)

    monkeypatch.setattr("reference_impls.requirements.version", answer)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})


def plan(store: Path, **filters: tuple[str, ...]) -> Plan:
    return make_plan(
        REGISTRY,
        Store(store),
        "laptop",
        preset=find_preset("libraries"),
        budget=None,
        filters=Filters(**filters),  # type: ignore[arg-type]
        device="cpu",
        cores=2,
        data_present=lambda _: True,
    )


@pytest.mark.parametrize(("subject", "check"), CONTRACT)
def test_contract(subject: PeerSubject, check: Check[PeerSubject]) -> None:
    skip_without(subject.row.name)
    check.run(subject)


def test_every_library_has_a_card_that_is_valid() -> None:
    assert REGISTRY.problems == ()
    libraries_named = {row.capabilities.library for row in REGISTRY.peers.values()}
    assert libraries_named == {"SpikingJelly", "snnTorch", "Norse", "Sinabs", "Spyx", "Spikeboard"}
    assert not set(REGISTRY.peers) & set(REGISTRY.neurons), "a cell could not tell them apart"


@pytest.mark.parametrize("name", REGISTRY.peers)
def test_cards_and_the_session_pin_the_same_versions(name: str) -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", PINS.read_text(), re.MULTILINE))
    required = REGISTRY.peers[name].capabilities.requires
    assert required.items() <= pinned.items()


def test_the_session_never_replaces_torch_or_what_is_pinned_already() -> None:
    here, everywhere = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))
        for path in (PINS, PINS.with_name("constraints.txt"))
    )
    assert {name: here[name] for name in here.keys() & everywhere.keys()}.items() <= everywhere.items()
    assert not any(name.startswith(("torch", "nvidia", "triton")) for name in here)


@pytest.mark.parametrize("name", REGISTRY.peers)
def test_references_are_built_without_the_library(name: str, nothing_installed: None) -> None:
    x, upstream = random_input((9, 4, 32), torch.float64)
    answered = reference_answer(build_reference(name), x, upstream)
    assert set(answered.spikes.unique().tolist()) == {0.0, 1.0}
    assert answered.gradient.any()


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_has_the_convention_that_the_card_states(name: str) -> None:
    able, neuron = REGISTRY.peers[name].capabilities, build_reference(name)
    assert isinstance(neuron, LIF)
    assert neuron.decay == able.decay
    assert neuron.input_gain == able.input_gain
    assert (neuron.fire_rule, neuron.reset_mode, neuron.detach_reset) == (able.fire_rule, able.reset, able.detach_reset)
    assert neuron.surrogate.describe() == able.surrogate
    assert (able.reset_timing, able.spike_timing) == ("same_step", "same_step")


def test_a_missing_library_is_refused_with_the_way_to_install_it(nothing_installed: None) -> None:
    with pytest.raises(UnsupportedError, match=r"spikingjelly 2\.0\.0 \(not installed\).*nox -s peers.*--no-deps"):
        build_peer("spikingjelly-lif")
    assert build_peer("spikeboard-lif").prepare(*random_input((2, 1, 3), torch.float32)).answer()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"norse": "0.0.0.0.14"})
    with pytest.raises(UnsupportedError, match=r"norse 1\.1\.0 \(0\.0\.0\.0\.14 is installed\)"):
        build_peer("norse-lif")


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="spikingjelly-lif"):
        build_peer("spikingjely-lif")
    with pytest.raises(UnknownNameError, match="backend"):
        build_peer("spikeboard-lif", backends="eager")


def test_the_plan_holds_every_peer_and_its_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, LIBRARIES)
    cells = [planned.cell for planned in plan(tmp_path).todo]
    for suite in ("conformance", "libraries"):
        # As a layer it is spikeboard-lif-fused; and some are of a GPU alone.
        layers = {name for name, row in REGISTRY.peers.items() if "cpu" in row.capabilities.devices}
        layers -= {"spikeboard-lif-events"}
        assert {cell.neuron for cell in cells if cell.suite == suite} == layers
    assert {cell.backend for cell in cells} == {NOT_APPLICABLE}
    one = [planned.cell for planned in plan(tmp_path, neuron=("norse*",)).todo]
    assert [(cell.suite, cell.neuron) for cell in one] == [("conformance", "norse-lif"), ("libraries", "norse-lif")]


def test_a_missing_library_costs_nothing_and_is_tried_again_once_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_installed: None
) -> None:
    planned = plan(tmp_path)
    assert {cell.neuron for cell in (one.cell for one in planned.todo)} == {
        name for name, row in REGISTRY.peers.items() if not row.capabilities.requires
    } - {"spikeboard-lif-events"}
    cell, reason = next((one.cell, one.reason) for one in planned.impossible if one.cell.neuron == "sinabs-lif")
    assert "sinabs 3.1.3" in reason
    absent = code_hash(cell, REGISTRY)
    pretend(monkeypatch, {"sinabs": "3.1.3"})
    assert code_hash(cell, REGISTRY) != absent


def test_what_a_peer_cannot_do_is_said() -> None:
    assert "float64" in str(why_unsupported(Cell("libraries", neuron="spyx-lif", dtype="float64"), REGISTRY))
    assert "cuda" in str(why_unsupported(Cell("libraries", neuron="spyx-lif", device="cuda"), REGISTRY))
    assert why_unsupported(Cell("libraries", neuron="spikeboard-lif"), REGISTRY) is None


def test_no_other_preset_but_full_measures_peers() -> None:
    for name, preset in PRESETS.items():
        with_peers = any(selection.peers for selection in preset.selections)
        assert with_peers == (name in ("libraries", "steps", "full")), name


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, set_aside: None) -> None:
    shortest = TimingProtocol(warmup_calls=1, warmup_seconds=0, block_seconds=0, min_blocks=6, max_blocks=6)
    for name, value in {"BASE": (16, 2, 64), "NEURONS": (64,), "BATCHES": (2,), "PROTOCOL": shortest}.items():
        monkeypatch.setattr(libraries, name, value)


def ask(row: str) -> libraries.Answer:
    cell = Cell("libraries", neuron=row, backend=NOT_APPLICABLE)
    suite = libraries.Libraries(REGISTRY.suite("libraries"))
    workload = Workload(cell, REGISTRY)
    suite.validate(workload)
    return suite.run(workload)


@pytest.mark.parametrize("name", [name for name in REGISTRY.peers if name not in SLOW])
def test_the_suite_answers(name: str, tiny: None) -> None:
    pytest.importorskip("numba", reason="the suite times the fused backend too")
    skip_without(name)
    found = ask(name)
    metrics = to_metrics(REGISTRY.suite("libraries"), found.figures)
    without = {"saved_bytes"} if REGISTRY.peers[name].capabilities.framework != "torch" else set()
    assert set(metrics) == set(REGISTRY.suite("libraries").metrics) - without
    assert metrics["spike_mismatch_fraction"].value == 0
    assert metrics["gradient_cosine"].value >= 0.999999
    assert [at for at, _ in found.series["train_step_seconds_over_T"].points] == [4, 16, 64]


class _Wrong(TorchPeer):
    """Decays more slowly than its card says."""

    def layer(self, like: Tensor) -> Layer:
        return LIF(tau=3.0)


def test_what_misses_its_own_convention_is_not_timed(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "build_peer", lambda _: _Wrong())
    with pytest.raises(DivergedError, match="misses its own convention") as caught:
        ask("spikeboard-lif")
    assert caught.value.answer is not None
    assert set(caught.value.answer.figures) == {"spike_mismatch_fraction", "gradient_cosine"}
    assert caught.value.answer.figures["spike_mismatch_fraction"].value > 0


ROUTES = {"spikingjelly-lif-native": "cuda", "spikingjelly-lif-triton": "triton", "spikingjelly-lif-torch": "torch"}


@pytest.mark.parametrize("name", ROUTES)
def test_routes_of_a_gpu_are_rows_that_a_cpu_cannot_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"spikingjelly": "2.0.0"})
    cell = Cell("libraries", neuron=name, backend=NOT_APPLICABLE, device="cpu")
    assert why_unsupported(cell, REGISTRY) == f"{name} is measured with device cuda, not cpu."
    assert why_unsupported(replace(cell, device="cuda"), REGISTRY) is None
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="is one of a GPU, and torch sees none"):
            build_peer(name)


def test_a_route_is_chosen_before_the_library_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from reference_impls.peers import spikingjelly

    pretend(monkeypatch, {"spikingjelly": "2.0.0"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(spikingjelly, "find_spec", lambda _: None)
    monkeypatch.setenv(spikingjelly.ROUTE, "auto")
    monkeypatch.delitem(sys.modules, spikingjelly._KERNELS, raising=False)
    with pytest.raises(UnsupportedError, match="wheel has no native CUDA kernels"):
        build_peer("spikingjelly-lif-native")
    build_peer("spikingjelly-lif-triton")
    assert os.environ[spikingjelly.ROUTE] == "triton"
    monkeypatch.setitem(sys.modules, spikingjelly._KERNELS, sys)
    build_peer("spikingjelly-lif-triton")
    with pytest.raises(UnsupportedError, match="was imported before in this process"):
        build_peer("spikingjelly-lif-torch")
