"""Simulators as data sets: what is needed is a package, and it is there if it is installed. Must not import one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.data.base import DataSet, FileVerdict, Presence
from reference_impls.requirements import installed_version

__all__ = ["GYMNASIUM", "MUJOCO", "Simulator"]


@dataclass(frozen=True)
class Simulator(DataSet):
    """Packages that simulate environments and train in them.

    Parameters
    ----------
    packages : import name -> distribution.
    """

    packages: tuple[tuple[str, str], ...] = ()

    def find(self, root: Path) -> Presence:  # noqa: ARG002 - nothing lies in a folder
        """Return whether every package can be imported."""
        lacking = tuple(distribution for name, distribution in self.packages if find_spec(name) is None)
        where = None if lacking else find_spec(self.packages[0][0])
        return Presence(self.name, not lacking, Path(where.origin) if where and where.origin else None, missing=lacking)

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Say which versions there are."""
        self.require(root)
        return tuple(
            FileVerdict(distribution, True, f"version {installed_version(distribution)}")
            for _, distribution in self.packages
        )


_TRAINS = (("gymnasium", "gymnasium"), ("stable_baselines3", "stable-baselines3"))
GYMNASIUM = Simulator(
    name="gymnasium",
    title="Gymnasium's classic control",
    licence="MIT",
    source="https://gymnasium.farama.org",
    how_to_get="python -m pip install 'spikeboard[control]'",
    packages=_TRAINS,
)
MUJOCO = Simulator(
    name="mujoco",
    title="Gymnasium's MuJoCo environments",
    licence="Apache 2.0 (MuJoCo), MIT (Gymnasium)",
    source="https://mujoco.org",
    how_to_get="python -m pip install 'spikeboard[mujoco]'",
    packages=(*_TRAINS, ("mujoco", "mujoco")),
)
