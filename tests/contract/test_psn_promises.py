"""What masked and sliding PSN promise beyond the contract of every neuron, in float64."""

from __future__ import annotations

import pytest
import torch

from harness.golden import float64_default
from reference_impls.api import build_neuron


@pytest.mark.parametrize(("order", "steps"), [(1, 130), (5, 131), (5, 300), (100, 301)])
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
