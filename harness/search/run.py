"""A search as the command asks for it: the network without skips, the search, the baseline, and the best anew.

Says what it does, line by line; a Ctrl-C leaves what is evaluated. Must not know options or colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.data import data_root as resolve
from harness.data import data_set
from harness.errors import UserError
from harness.execute.where import Where
from harness.paths import SCRATCH, by_default
from harness.results.fingerprint import code_hash
from harness.results.stats import Estimate, estimate
from harness.results.store import Store
from harness.search.evaluation import Evaluation, Evaluator, with_candidates
from harness.search.plot import draw_search
from harness.search.request import SearchRequest
from harness.search.space import Candidate, Space, code_of
from harness.search.study import BAYES, OBJECTIVE, RANDOM, Search, Settings, Tried
from harness.terminal import Console

__all__ = ["PLAIN", "Final", "SearchOutcome", "SearchPlan", "run_search"]

PLAIN = "without skips"
PICTURE = "search.svg"


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How a search goes; the options of the command say what each is."""

    request: SearchRequest
    folder: Path
    evaluations: int
    initial: int
    kappa: float
    budget: str
    seeds: int
    seed: int
    baseline: bool
    final_budget: str
    final_seeds: int
    slots: int | None = None
    where: Where = field(default_factory=Where)


@dataclass(frozen=True, slots=True)
class Final:
    """A wiring that was trained anew for the final budget."""

    label: str
    candidate: Candidate
    search_accuracy: float
    """On the validation part, under the search's budget."""
    test_error: Estimate | None
    """Under the final budget; None if it was not trained."""
    parameters: float


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What a search came to."""

    finals: tuple[Final, ...]
    """The network without skips, the best of the search, the best at random."""
    best: Final
    """Of the best validation accuracy; the search's own before that at random."""
    picture: Path


def run_search(
    plan: SearchPlan, registry: Registry, data_root: Path | None, say: Callable[[str], None]
) -> SearchOutcome | None:
    """Run a search, or go on with it; return what it came to, or None after a Ctrl-C.

    Raises
    ------
    UserError
        If something asked for is not there, no wiring is left, or nothing gave a figure.
    """
    budgets = [plan.budget, *([plan.final_budget] if plan.final_seeds else [])]
    cell = plan.request.cell(registry, *budgets)
    space, root, machine = plan.request.space(registry), resolve(data_root), plan.where.machine()
    needed = registry.task(plan.request.task).data
    if needed is not None:
        data_set(needed).require(root)
    search = Search(plan.folder, _settings(plan, code_hash(cell, registry)), space)
    store, console = Store(by_default(SCRATCH) / "search"), Console()
    try:
        with (
            plan.where.executor_for(store, root, slots=plan.slots, registry=with_candidates(registry)) as executor,
            console.status("starting") as status,
        ):
            evaluator = Evaluator(executor, cell, machine, status.update)
            return _Course(plan, space, search, evaluator, say).run()
    except KeyboardInterrupt:
        return None


def _settings(plan: SearchPlan, code: str) -> Settings:
    asked = plan.request
    return Settings(
        task=asked.task,
        topology=asked.topology,
        neuron=asked.neuron,
        method=asked.method,
        device=asked.device,
        budget=plan.budget,
        seeds=plan.seeds,
        form=asked.form,
        types=asked.types,
        max_skips=asked.max_skips,
        max_parameters=asked.max_parameters,
        initial=plan.initial,
        kappa=plan.kappa,
        seed=plan.seed,
        code=code,
    )


@dataclass
class _Course:
    """The parts of a search, in their order."""

    plan: SearchPlan
    space: Space
    search: Search
    evaluator: Evaluator
    say: Callable[[str], None]

    def run(self) -> SearchOutcome | None:
        plain = self._evaluate(self.space.plain)
        if plain.interrupted:
            return None
        if plain.failure is not None:
            raise UserError(f"the network without skips failed: {plain.failure.status}: {plain.failure.reason}")
        reference = Tried(0, self.space.plain, 1 - plain.mean(OBJECTIVE), plain.mean("parameters"), None)
        self.say(_line(PLAIN, "", reference))
        names = (BAYES, RANDOM) if self.plan.baseline else (BAYES,)
        for name in names:
            if not self.search.run(name, self.plan.evaluations, self._evaluate, self._told):
                return None
        best = {name: found for name in names if (found := self.search.best(name)) is not None}
        picture = self.plan.folder / PICTURE
        draw_search({name: self.search.tried(name) for name in names}, reference.accuracy, picture)
        finals = self._finals({PLAIN: reference, **best})
        if finals is None:
            return None
        leader = max(finals[1:], key=lambda final: final.search_accuracy)  # the first of several: the search's
        return SearchOutcome(finals, leader, picture)

    def _evaluate(self, candidate: Candidate) -> Evaluation:
        return self.evaluator.run(candidate, self.plan.budget, range(self.plan.seeds))

    def _told(self, name: str, tried: Tried) -> None:
        best = self.search.best(name)
        tail = "" if best is None else f"   best {best.accuracy:.2%}"
        self.say(_line(name, f"{tried.number}/{self.plan.evaluations}", tried) + tail)

    def _finals(self, chosen: Mapping[str, Tried]) -> tuple[Final, ...] | None:
        """Train the chosen from scratch for the final budget, or take them as they are if that is not wanted."""
        found = []
        for label, tried in chosen.items():
            error: Estimate | None = None
            if self.plan.final_seeds:
                seeds: Sequence[int] = range(self.plan.final_seeds)
                again = self.evaluator.run(tried.candidate, self.plan.final_budget, seeds)
                if again.interrupted:
                    return None
                if again.failure is not None:
                    self.say(f"{label}: {again.failure.status}: {again.failure.reason}")
                else:
                    resolution = 1 / again.records[0].metrics["error_fraction"].n
                    error = estimate(again.figures("error_fraction"), "seeds", resolution)
            found.append(Final(label, tried.candidate, tried.accuracy or 0.0, error, tried.parameters or 0.0))
        return tuple(found)


def _line(name: str, number: str, tried: Tried) -> str:
    head = f"{name:<13} {number:>7}  {code_of(tried.candidate)}"
    if tried.accuracy is None:
        return f"{head}  failed: {tried.reason}"
    return f"{head}  validation accuracy {tried.accuracy:.2%}   {tried.parameters:,.0f} parameters"
