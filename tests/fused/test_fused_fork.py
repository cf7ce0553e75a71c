"""A process that was forked after a fused layer has run computes alone: it has none of its parent's threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADER = """
import torch
from reference_impls.api import build_neuron

torch.set_num_threads({threads})
x = torch.randn(16, 8, 640, generator=torch.Generator().manual_seed(0))
neuron = build_neuron("lif", backend="fused-numba")
expected = neuron(x)

class Encoded(torch.utils.data.Dataset):
    def __len__(self): return 8
    def __getitem__(self, i): return {item}

loader = torch.utils.data.DataLoader(Encoded(), num_workers=2, multiprocessing_context="fork", batch_size=None)
for _ in range(2):
    assert torch.equal(torch.cat(list(loader), 1), expected)
    assert torch.equal(neuron(x), expected)  # the parent goes on with its threads
print("equal")
"""
ONE = "neuron(x[:, i : i + 1])"
COMPILED_THERE = "build_neuron('lif', backend='fused-numba')(x[:, i : i + 1])"


@pytest.mark.parametrize(
    ("item", "threads"),
    [
        (COMPILED_THERE, 2),
        # Without threads of its own the parent leaves nothing to trip over; and a neuron that it has built runs in the
        # test of the gradient.
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((COMPILED_THERE, 1), (ONE, 1), (ONE, 2))),
    ],
)
def test_a_forked_loader_encodes_with_a_fused_neuron(item: str, threads: int) -> None:
    code = LOADER.format(threads=threads, item=item)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["equal"]
    assert "Terminating" not in ended.stderr


GRADIENT = """
import os, torch
from reference_impls.api import build_neuron

torch.set_num_threads(1)
neuron = build_neuron("plif", backend="fused-numba")
x = torch.rand(64, 32, 640) * 3  # large enough for stores that go past the cache
neuron(x).sum().backward()
expected = next(neuron.parameters()).grad.clone()
child = os.fork()
if child == 0:
    neuron.zero_grad()
    neuron(x).sum().backward()
    os._exit(0 if torch.allclose(next(neuron.parameters()).grad, expected) else 3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_the_same_gradient() -> None:
    ended = subprocess.run([sys.executable, "-c", GRADIENT], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
