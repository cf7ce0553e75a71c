"""What torch.jit.script says of a neuron: our words instead of the compiler's, which name a line and no way out.

A module of its own because every record rests on the class `Neuron`, and how it is refused decides no figure; `api`
imports it for what it does.
"""

from __future__ import annotations

from reference_impls.backends import UnsupportedError
from reference_impls.neuron import Neuron

__all__ = ["refuse_scripting"]


def refuse_scripting(module: Neuron) -> Neuron:
    """Refuse ``torch.jit.script``, which asks every module first, also those inside of others.

    Raises
    ------
    UnsupportedError
        Always: a step takes a mapping of parameters and gives a NamedTuple, and the script language has no such pair.
    """
    raise UnsupportedError(
        f"torch.jit.script cannot read {type(module).__name__}: neurons are written in more of Python than "
        "its language has; build it with backend='eager' and use torch.jit.trace, torch.export or torch.compile"
    )


Neuron.__prepare_scriptable__ = refuse_scripting  # type: ignore[attr-defined]
