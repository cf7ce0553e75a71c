"""The trivial baseline of control: whatever is observed, any action is as likely as any other."""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.control import Actor

CARD = {
    "name": "random-policy",
    "kind": "system",
    "version": 1,
    "title": "Random policy",
    "summary": "Actions are drawn evenly from all that there are. Nothing is learned.",
    "capabilities": {"answers": "control", "spiking": False, "learns": False},
}


class RandomPolicy(Actor):
    """Draw."""

    def forward(self, observation: Tensor) -> Tensor:
        """Return numbers of torch's generator."""
        return 2 * torch.rand(len(observation), self.actions, device=observation.device) - 1
