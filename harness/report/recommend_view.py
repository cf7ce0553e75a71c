"""An answer in a sentence, and what is not known in another: the same words in the terminal and on the front page.

Must not decide: ``recommend`` did.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.catalogue.cards import Registry
from harness.catalogue.cell import DEFAULT_RECIPE
from harness.catalogue.kinds import kind_of
from harness.report.units import pretty, scale_for, with_interval
from harness.report.words import count, joined
from harness.results.overall.settings import Bundle
from harness.results.questions import PARAMETERS, Answer, Cost, Limit, Question

__all__ = ["command_of", "conditions", "not_known", "sentence"]

MOST_NAMES = 4
ABOUT_THE_SAME = 0.03
"""Costs that differ by less, as a share, are called the same."""
_UNITS = {"energy": "joules", "memory": "bytes", "step": "seconds", "inference": "seconds", PARAMETERS: ""}
_WORDS = {
    "energy": "energy an inference",
    "memory": "peak memory",
    "step": "time a training step",
    "inference": "time an inference step",
    PARAMETERS: "parameters",
}
_NOUNS = {
    "energy": "energy",
    "memory": "peak memory",
    "step": "training step",
    "inference": "inference",
    PARAMETERS: "parameters",
}


def conditions(question: Question) -> str:
    """Return what is asked of a row, such as "at most 200 nJ of energy an inference; online"; empty for nothing."""
    return "; ".join([*(_limit(limit) for limit in question.limits), *question.properties])


def sentence(answer: Answer) -> str:
    """Return the answer: the winner, who is tied with it, and what it costs beside the baseline."""
    asked, what = answer.question, conditions(answer.question)
    about = f"For {asked.kind}{f' ({what})' if what else ''}"
    bundle = answer.bundle
    if bundle is None:
        return f"{about}, nothing current has been measured that {_things(asked)} could be compared by."
    if answer.winner is None:
        tried = len(answer.failing) + len(answer.unknown)
        return f"{about}, no {_thing(asked)} is known to qualify, of {tried} that were tried."
    place = " and ".join(f"{_percent(answer, setting)} on {setting.label}" for setting in answer.settings[:MOST_NAMES])
    if 2 * len(answer.tied) >= len(answer.meeting) > 3:
        about = (
            f"{about}, {len(answer.tied) + 1} of {len(answer.meeting)} that qualify cannot be told apart from the best"
        )
        parts = [f"{about}, {answer.winner}: test error {place}{_beside(answer)}"]
    else:
        parts = [f"{about}, take {answer.winner}: test error {place}{_beside(answer)}"]
    parts.append(_tied(answer))
    costs = joined(_cost(cost) for cost in answer.costs)
    if costs and answer.winner != bundle.board.baseline:
        parts.append(f"beside {_baseline(bundle)} it takes {costs}")
    if answer.without_spikes is not None:
        name, share = answer.without_spikes
        parts.append(f"without spikes, {name} makes {share:.2g} times its errors")
    return "; ".join(part for part in parts if part) + "."


def not_known(answer: Answer, registry: Registry) -> str:
    """Return what the answer leaves open: untuned rows, missing figures, tasks that were not measured."""
    bundle = answer.bundle
    missing = _unmeasured_tasks(answer, registry)
    if bundle is None:
        tasks = f" Tasks of that kind: {', '.join(missing)}." if missing else ""
        return f"Not known: everything; there are no current, comparable records.{tasks}"
    parts = []
    if bundle.recipe == DEFAULT_RECIPE:
        parts.append("how rows would stand after tuning with equal means: all have the hyper-parameters of their cards")
    seeds = min((_seeds(answer, bundle)), default=0)
    if 0 < seeds < 5:
        parts.append(f"much about chance: there are {count(seeds, 'seed')}")
    if answer.unknown:
        parts.append(f"of {_many(sorted(answer.unknown), 'row')}, {_most_common(answer.unknown.values())}")
    if missing:
        have = "has" if len(missing) == 1 else "have"
        parts.append(
            f"whether it holds on {joined(missing, 'or')}, which {have} no figures here that could be compared"
        )
    if answer.winner and len(answer.meeting) > 1 and len(answer.tied) + 1 == len(answer.meeting):
        parts.append("which of them is best: no two that qualify can be told apart from the first")
    parts.append("larger networks")
    parts += [f"costs on other machines than {bundle.timed_on}"] * bool(bundle.timed_on)
    return f"Not known: {'; '.join(parts)}."


def command_of(question: Question) -> str:
    """Return the command that gives the same answer."""
    options = {"step": "step-time"}
    words = ["spikeboard recommend", f"--data {question.kind}"]
    words += ["--choose method"] if question.choose == "method" else []
    words += [f"--{options.get(one.cost, one.cost)} {_written(one)}" for one in question.limits]
    return " ".join([*words, *(f"--{one}" for one in question.properties)])


def _thing(question: Question) -> str:
    return "neuron" if question.choose == "neuron" else "training method"


def _things(question: Question) -> str:
    return f"{_thing(question)}s"


def _limit(limit: Limit) -> str:
    if limit.of_baseline:
        share = "the baseline's" if limit.value == 1 else f"{limit.value:g} times the baseline's"
        return f"at most {share} {_WORDS[limit.cost]}"
    amount = f"{limit.value:,.0f}" if limit.cost == PARAMETERS else pretty(limit.value, _UNITS[limit.cost])
    return f"at most {amount} {'' if limit.cost == PARAMETERS else 'of '}{_WORDS[limit.cost]}"


def _written(limit: Limit) -> str:
    if limit.of_baseline:
        return f"{limit.value:g}x"
    if limit.cost == PARAMETERS:
        return f"{limit.value:.0f}"
    return pretty(limit.value, _UNITS[limit.cost]).replace(" ", "").replace("µ", "u")


def _percent(answer: Answer, setting: object) -> str:
    estimate = answer.errors[setting]  # type: ignore[index]
    return f"{with_interval(estimate, scale_for('fraction', estimate.value))} %"


def _baseline(bundle: Bundle) -> str:
    return bundle.board.baseline.upper()


def _beside(answer: Answer) -> str:
    """Return how its errors compare with the baseline's, with the interval: ", 17 % fewer than LIF (9 to 24)"."""
    bundle, share = answer.bundle, answer.relative
    if bundle is None or share is None or not math.isfinite(share.value) or answer.winner == bundle.board.baseline:
        return ", the baseline itself" if bundle and answer.winner == bundle.board.baseline else ""
    less = 100 * (1 - share.value)
    word = "fewer" if less >= 0 else "more"
    bounds = ", which may be chance" if bundle.board.baseline in answer.tied else ""
    if not bounds and share.low is not None and share.high is not None:
        low, high = sorted((100 * (1 - bound) * (1 if less >= 0 else -1)) for bound in (share.low, share.high))
        bounds = f" ({low:.0f} to {high:.0f})"
    return f", {abs(less):.0f} % {word} errors than {_baseline(bundle)}{bounds}"


def _tied(answer: Answer) -> str:
    if not answer.tied:
        return (
            f"the only {_thing(answer.question)} that qualifies"
            if len(answer.meeting) == 1
            else "no other is tied with it"
        )
    cheapest = ""
    if answer.cheapest and answer.cheapest != answer.winner:
        cheapest = f" (of these {answer.cheapest} takes the least energy)"
    return f"not told apart from it: {_listed(answer.tied)}{cheapest}"


def _cost(cost: Cost) -> str:
    if abs(cost.ratio - 1) < ABOUT_THE_SAME:
        return f"the same {_NOUNS[cost.cost]}"
    return f"{cost.ratio:.2g} times the {_NOUNS[cost.cost]}"


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"]
    return joined(shown)


def _many(names: Sequence[str], noun: str) -> str:
    return f"{count(len(names), noun)} ({_listed(names)})"


def _most_common(reasons: Iterable[str]) -> str:
    """Return the two most common reasons in short, the word before the colon counting."""
    counted = Counter(_short(reason) for reason in reasons).most_common(2)
    return "; ".join(f"{reason} ({number})" for reason, number in counted)


def _short(reason: str) -> str:
    where, _, why = reason.partition(": ")
    return f"{why.partition(':')[0]} on {where}" if why else reason


def _seeds(answer: Answer, bundle: Bundle) -> Iterable[int]:
    names = [answer.winner, *answer.tied] if answer.winner else []
    for setting in answer.settings:
        yield from (len(bundle.values[setting][name].records) for name in names if name)


def _unmeasured_tasks(answer: Answer, registry: Registry) -> list[str]:
    used = {setting.task for setting in answer.settings}
    return [
        name for name in registry.tasks if kind_of(registry.task(name)) == answer.question.kind and name not in used
    ]
