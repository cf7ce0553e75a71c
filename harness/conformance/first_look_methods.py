"""What the code of a training method returns, looked at before any clause of its contract is judged.

The first thing that is wrong is named once, with file and line, instead of by every clause that it breaks. Must not
know any method by name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.conformance import require
from harness.conformance.first_look import kind_of, look_at_class
from harness.conformance.methods import BATCH, CLASSES, MethodSubject
from harness.conformance.places import defined_at, saying_where
from reference_impls.api import TrainingMethod, UpdateReport, build_method

__all__ = ["look_at_method"]


def look_at_method(subject: MethodSubject) -> None:
    """Look at the file of a training method: class, parameters, constructor, and what each of its calls returns.

    Raises
    ------
    harness.conformance.CheckFailedError
        With the first thing that is wrong, its file and line.
    """
    row = subject.row
    cls = look_at_class(row, TrainingMethod)
    with saying_where(row.path, f"building it with {dict(row.params)}", defined_at(cls)):
        build_method(row.name)
    with saying_where(row.path, "preparing a network", defined_at(cls)):
        method = subject.method(subject.network(), 0.02)
    require(hasattr(method, "network"), f"{_place(method, 'prepare')}: prepare() does not call super().prepare()")
    x, target = subject.batch()
    if row.capabilities.gradient:
        _look_at_gradients(subject, method, x, target)
    report = _called(subject, method, "update", x, target)
    place = _place(method, "update")
    if type(method).update is TrainingMethod.update:
        place = _place(method, "accumulate")
    _check_report(report, f"{place}: update()")
    logits = _called(subject, method, "predict", x)
    require(
        isinstance(logits, Tensor) and logits.shape == (BATCH, CLASSES),
        f"{_place(method, 'predict')}: predict() returns {_shaped(logits)}; it must return the logits "
        f"[B, C], here {[BATCH, CLASSES]}",
    )


def _look_at_gradients(subject: MethodSubject, method: TrainingMethod, x: Tensor, target: Tensor) -> None:
    if type(method).gradients is TrainingMethod.gradients:
        place = _place(method, "accumulate")
        _check_report(_called(subject, method, "accumulate", x, target), f"{place}: accumulate()")
        formed = [name for name, one in method.network.named_parameters() if one.grad is not None and one.grad.any()]
        require(formed, f"{place}: accumulate() leaves no gradient in any parameter: is loss.backward() missing?")
    place, names = _place(method, "gradients"), {name for name, _ in method.network.named_parameters()}
    found = _called(subject, method, "gradients", x, target)
    require(
        isinstance(found, dict) and all(isinstance(one, Tensor) for one in found.values()),
        f"{place}: gradients() returns {kind_of(found)}; it must map the name of every parameter to a tensor",
    )
    lacking = sorted(names - set(found))
    require(not lacking, f"{place}: gradients() says nothing of {', '.join(lacking[:3])}")


def _check_report(report: Any, says: str) -> None:
    require(
        isinstance(report, UpdateReport),
        f"{says} returns {kind_of(report)}; it must return an UpdateReport: return UpdateReport(loss.item(), ...)",
    )
    require(
        isinstance(report.loss, float),
        f"{says} reports {kind_of(report.loss)} as its loss; it must be a number: loss.item()",
    )


def _called(subject: MethodSubject, method: TrainingMethod, name: str, *arguments: Any) -> Any:
    torch.manual_seed(0)
    with saying_where(subject.row.path, f"calling {name}()", _place(method, name)):
        return getattr(method, name)(*arguments)


def _place(method: TrainingMethod, name: str) -> str:
    return defined_at(getattr(type(method), name))


def _shaped(value: Any) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else kind_of(value)
