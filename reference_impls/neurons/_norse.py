"""What norse's neurons share: leaks given as rates in 1/s and a time step in s.

Must not know any neuron's equations.
"""

from __future__ import annotations

__all__ = ["resolve_leak"]


def resolve_leak(name: str, tau: float, decay: float | None, rate: float | None, dt: float) -> float:
    """Return the share that a state loses in a step, in (0, 1].

    Parameters
    ----------
    name : of the state, for the message.
    tau : time constant in time steps; the leak is 1/tau.
    decay : 1 - leak; overrides `tau`.
    rate : norse's inverse time constant in 1/s; the leak is ``dt * rate``. Overrides both.
    dt : length of a time step in s.

    Raises
    ------
    ValueError
        If the leak is outside (0, 1].
    """
    if rate is not None:
        leak, given = dt * rate, f"dt * rate = {dt} s * {rate} / s"
    elif decay is not None:
        leak, given = 1 - decay, f"decay = {decay}"
    else:
        leak, given = (1 / tau if tau else float("inf")), f"tau = {tau} time steps"
    if not 0 < leak <= 1:
        raise ValueError(f"the leak of the {name} must lie in (0, 1], got {leak:g} from {given}")
    return leak
