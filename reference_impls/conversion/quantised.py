"""Conversion of an ANN whose activation is clipped at a learned point and rounded to levels: QCFS and its successor.

Thresholds are the clipping points, so that nothing has to be calibrated. Must not know noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.conversion.activations import ORDERS, qcfs
from reference_impls.conversion.method import Conversion
from reference_impls.method import OptimizerFactory, UpdateReport
from reference_impls.names import check_name
from reference_impls.network import Network

__all__ = ["LEAST_UP", "QuantisedConversion"]

LEAST_UP = 1e-3


class QuantisedConversion(Conversion):
    """An ANN with ``levels`` levels below a learned clipping point, one a layer.

    Parameters
    ----------
    levels : L.
    up : clipping point at the start, of every layer.
    order : which of clip and floor comes first, which decides the gradient at the ends; see :func:`qcfs`.
    others : as in :class:`Conversion`.

    `prepare` adds ``conversion_up``, one scalar a layer, to the network.
    """

    def __init__(
        self,
        levels: int = 4,
        up: float = 2.0,
        order: str = "clamp_then_floor",
        pretraining_share: float = 0.75,
        calibration_samples: int = 512,
        start: float = 0.5,
    ) -> None:
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        if not up > 0:
            raise ValueError(f"up must be positive, got {up}")
        super().__init__(pretraining_share, calibration_samples, start)
        self.levels = levels
        self.up = up
        self.order = check_name("order", order, ORDERS)

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons with soft reset and give it clipping points."""
        like = next(network.parameters())
        start = [nn.Parameter(torch.full_like(like[:0].sum(), self.up)) for _ in network.neurons()]
        network.register_module("conversion_up", nn.ParameterList(start))
        super().prepare(network, optimizer)

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Make one optimizer step of the ANN and keep the clipping points positive."""
        report = super().update(x, target)
        with torch.no_grad():
            for up in self.ups():
                up.clamp_(min=LEAST_UP)
        return report

    def ups(self) -> Sequence[Tensor]:
        """Return the clipping points."""
        network: Any = self.network
        return list(network.conversion_up)

    def activation(self, layer: int, z: Tensor) -> Tensor:
        """Return `z`, clipped and rounded."""
        return qcfs(z, self.ups()[layer], self.levels, self.order)

    def calibrated(self) -> Sequence[float]:
        """Return the clipping points."""
        return [float(up.detach()) for up in self.ups()]
