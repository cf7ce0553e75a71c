"""Cards are read without importing, checked, and expanded into rows; mistakes are named with the nearest right word."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.catalogue.loading import load_registry, match
from harness.errors import UserError
from reference_impls import discovery
from reference_impls.api import UnknownNameError, build_method, build_neuron
from reference_impls.card import CardError
from reference_impls.card_files import read_literal, variant_literal

NEURON = '''
"""A neuron of someone else."""
import torch
from reference_impls.api import ParallelNeuron

CARD = {{
    "name": "{name}",
    "kind": "neuron",
    "version": 1,
    "title": "Third party",
    "summary": "Fires where the input is positive.",
    "capabilities": {{
        "parallel": "closed_form", "causal": True, "stochastic": False, "needs_T": False,
        "output": "binary", "membrane": "none", "reset": "none",
    }},
    {more}
}}

class ThirdParty(ParallelNeuron):
    """Fires where the input is positive."""
    def forward(self, x):
        return (x > 0).to(x)
'''


def install(folder: Path, name: str = "third-party", more: str = "") -> None:
    """Write a package and its entry point the way pip leaves them."""
    package = folder / "thirdparty"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('listing must not import this')\n")
    (package / "neuron.py").write_text(NEURON.format(name=name, more=more))
    info = folder / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{discovery.ENTRY_POINT_GROUP}]\nanything = thirdparty.neuron\n")


def test_every_card_of_the_project_is_valid() -> None:
    registry = load_registry()
    assert registry.problems == ()
    assert {"lif", "klif", "psn", "ipsu", "mpe-psn"} <= set(registry.neurons)
    assert {"bptt", "ottt-a", "ottt-o", "ide", "spide"} <= set(registry.methods)


def test_variants_override_capabilities_and_parameters() -> None:
    registry = load_registry()
    assert registry.neurons["lif"].capabilities.reset == "soft"
    assert registry.neurons["lif-hard"].capabilities.reset == "hard"
    assert registry.neurons["lif-hard"].params["reset_mode"] == "hard"
    assert registry.neurons["ipsu"].capabilities.needs_T
    assert not registry.neurons["psu"].capabilities.needs_T


def test_a_third_party_package_is_found_without_importing_it(elsewhere: Path) -> None:
    install(elsewhere)
    registry = load_registry()
    assert registry.neurons["third-party"].module == "thirdparty.neuron"
    assert "thirdparty" not in sys.modules


def test_a_misspelt_key_is_named_with_the_nearest(elsewhere: Path) -> None:
    install(elsewhere, more='"sumary": "twice",')
    (problem,) = load_registry().problems
    assert "neuron.py" in str(problem)
    assert "'sumary'" in str(problem)
    assert "did you mean 'summary'" in str(problem)
    assert "third-party" not in load_registry().neurons
    assert "lif" in load_registry().neurons


def test_a_wrong_capability_is_named(elsewhere: Path) -> None:
    install(elsewhere, more='"variants": {"other": {"title": "t", "capabilities": {"parallell": "scan"}}},')
    assert "parallell" in str(load_registry().problems[0])
    assert "did you mean 'parallel'" in str(load_registry().problems[0])


def test_a_name_that_is_taken_is_a_problem_of_the_second(elsewhere: Path) -> None:
    install(elsewhere, name="lif")
    (problem,) = load_registry().problems
    assert "'lif' is already taken" in str(problem)
    assert load_registry().neurons["lif"].module == "reference_impls.neurons.lif"


def test_a_package_that_is_not_there_is_a_problem_not_a_crash(elsewhere: Path) -> None:
    install(elsewhere)
    for path in (elsewhere / "thirdparty").iterdir():
        path.unlink()
    (elsewhere / "thirdparty").rmdir()
    assert "thirdparty.neuron" in str(load_registry().problems[0])
    assert "lif" in load_registry().neurons


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CARD = {'name': open('x')}", "plain literal"),
        ("CARD = ['lif']", "must be a dict"),
        ("x = 1", "has no CARD"),
        ("CARD = {", "cannot be read as Python"),
    ],
)
def test_what_is_no_card_is_said(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "neuron.py"
    path.write_text(text)
    with pytest.raises(CardError, match=problem):
        read_literal(path)


def test_an_annotated_card_is_read(tmp_path: Path) -> None:
    path = tmp_path / "neuron.py"
    path.write_text("CARD: dict = {'name': 'x'}")
    assert read_literal(path) == {"name": "x"}


def test_misspelt_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'klif'"):
        build_neuron("kliff")
    with pytest.raises(UnknownNameError, match="did you mean 'v_threshold'"):
        build_neuron("lif", v_treshold=1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'compiled'"):
        build_neuron("lif", backend="compile")
    with pytest.raises(UnknownNameError, match="did you mean 'spide'"):
        build_method("spyde")
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        build_neuron("lif", surrogate="sigmod")
    with pytest.raises(UnknownNameError, match="did you mean 'alpha'"):
        build_neuron("lif", surrogate={"name": "atan", "params": {"alhpa": 1.0}})


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("lif", {"tau": 0.5}, "tau must be at least 1"),
        ("lif", {"decay": 1.5}, "decay must lie in"),
        ("lif", {"v_threshold": 0.0}, "v_threshold must be positive"),
        ("lif", {"reset_mode": "hard", "v_reset": 2.0}, "must lie below v_threshold"),
        ("klif", {"k": 0.0}, "k must not start at 0"),
        ("psn", {"T": 0}, "T must be at least 1"),
        ("psn", {"T": 3, "weight": [1.0]}, "weight of psn must have shape"),
    ],
)
def test_parameters_out_of_their_domain_are_refused(name: str, params: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build_neuron(name, **params)


def test_a_learned_matrix_needs_its_size() -> None:
    with pytest.raises(TypeError, match="'psn' needs T"):
        build_neuron("psn")
    with pytest.raises(TypeError, match="'ipsu' has a learned T x T matrix"):
        build_neuron("ipsu")


def test_patterns_match_and_unknown_ones_suggest() -> None:
    methods = load_registry().methods
    assert match("training method", ["ottt*"], methods) == ["ottt-a", "ottt-o", "ottt-exact"]
    with pytest.raises(UserError, match="did you mean 'ottt-a'"):
        match("training method", ["otta-a"], methods)


def test_listing_works_where_torch_cannot_be_imported() -> None:
    program = textwrap.dedent(
        """
        import sys
        sys.modules["torch"] = None
        from harness.catalogue.loading import load_registry
        rows = load_registry()
        assert not rows.problems, rows.problems
        assert "lif" in rows.neurons and "digits" in rows.tasks and "accuracy" in rows.suites
        """
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_variant_may_give_any_key_of_the_card_another_value() -> None:
    registry = load_registry()
    assert (registry.task("cifar10").data, registry.task("cifar10").classes) == ("cifar10", 10)
    assert (registry.task("cifar100").data, registry.task("cifar100").classes) == ("cifar100", 100)
    assert registry.tasks["cifar100"].module == registry.tasks["cifar10"].module
    assert registry.task("fashion-mnist").citations != registry.task("mnist").citations


def test_a_variant_goes_on_from_another_one() -> None:
    registry = load_registry()
    both = registry.tasks["fsdd-rate-speakers"]
    assert both.params == {"code": "hair-cells", "leave_out_speakers": True}
    assert registry.task("fsdd-rate-speakers").sample_shape == registry.task("fsdd-rate").sample_shape == (32,)
    assert registry.task("fsdd-speakers").sample_shape == (64,)


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        ({"a": {"title": "A", "of": "b"}}, "is of 'b'"),
        ({"a": {"title": "A", "of": "b"}, "b": {"title": "B", "of": "a"}}, "is of 'a'"),
    ],
)
def test_a_variant_of_nothing_or_of_itself_is_an_error(variants: dict[str, dict[str, str]], says: str) -> None:
    with pytest.raises(CardError, match=says):
        variant_literal({"name": "x", "variants": variants}, "a")


def test_what_belongs_to_the_file_cannot_be_overridden(elsewhere: Path) -> None:
    install(elsewhere, more='"variants": {"third-2": {"title": "Second", "overrides": {"name": "other"}}},')
    (problem,) = load_registry().problems
    assert "variant 'third-2' overrides name" in str(problem)
