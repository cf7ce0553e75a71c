"""What masked and sliding PSN promise beyond the contract of every neuron, in float64."""

from __future__ import annotations

import pytest
import torch

from harness.golden import float64_default
from reference_impls.api import build_neuron
from reference_impls.neurons._parallel import mix_over_time, mix_past


@pytest.mark.parametrize(("order", "steps"), [(1, 257), (5, 131), (5, 300), (32, 300), (100, 901)])
def test_blocks_of_a_long_sequence_equal_the_whole_matrix(order: int, steps: int) -> None:
    torch.manual_seed(0)
    with float64_default():
        x = torch.randn(steps, 2, 3)
        forms = [build_neuron("sliding-psn", order=order, parallel=form) for form in ("conv", "matmul")]
        upstream = torch.randn(steps, 2, 3)
        found = []
        for neuron in forms:
            neuron.weight.data.normal_(generator=torch.Generator().manual_seed(1))
            leaf = x.clone().requires_grad_()
            (neuron(leaf) * upstream).sum().backward()
            found.append((neuron.membrane(x), leaf.grad, neuron.weight.grad))
    for ours, reference in zip(*found, strict=True):
        assert torch.allclose(ours, reference, atol=1e-11)


def test_masked_psn_at_full_strength_sees_order_steps_and_at_none_all() -> None:
    with float64_default():
        neuron = build_neuron("masked-psn", T=6, order=2)
        seen = neuron.effective_weight() != 0
        neuron.mask_strength.fill_(0.0)
    assert torch.equal(seen, torch.ones(6, 6).tril().triu(-1).bool())
    assert torch.equal(neuron.effective_weight(), neuron.weight)


@pytest.mark.parametrize(("order", "steps"), [(1, 257), (5, 300), (32, 320), (100, 901)])
def test_masked_psn_in_blocks_equals_the_whole_matrix(order: int, steps: int) -> None:
    torch.manual_seed(0)
    with float64_default():
        neuron = build_neuron("masked-psn", T=steps, order=order)
        x, upstream = torch.randn(steps, 2, 3), torch.randn(steps, 2, 3)
        leaf = x.clone().requires_grad_()
        membrane = neuron.membrane(leaf)
        found = torch.autograd.grad(membrane, (leaf, neuron.weight), upstream)
        whole = neuron.effective_weight() @ leaf.flatten(1)
        wanted = torch.autograd.grad(whole, (leaf, neuron.weight), upstream.flatten(1))
    assert torch.allclose(membrane.flatten(1), whole, atol=1e-12)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_masked_psn_looks_ahead_in_a_long_sequence_while_the_mask_is_weak() -> None:
    neuron = build_neuron("masked-psn", T=300, order=4, mask_strength=0.5)
    leaf = torch.randn(300, 1, 2, requires_grad=True)
    neuron.membrane(leaf)[0].sum().backward()
    assert leaf.grad is not None
    assert leaf.grad[-1].all()


def test_panels_of_a_triangle_equal_the_masked_matrix() -> None:
    with float64_default():
        weight, x = torch.randn(300, 300, requires_grad=True), torch.randn(300, 2, 3, requires_grad=True)
        upstream = torch.randn(300, 2, 3)
        found = torch.autograd.grad(mix_past(weight, x), (weight, x), upstream)
        wanted = torch.autograd.grad(mix_over_time(weight.tril(), x), (weight, x), upstream)
        assert torch.allclose(mix_past(weight, x), mix_over_time(weight.tril(), x), atol=1e-12)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)
