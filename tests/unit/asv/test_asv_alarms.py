"""What is an alarm: by measured noise where it is there, by asv's rule elsewhere, and never what was accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("asv")

from synthetic import registry

from harness.asv.accepted import Accepted, read_accepted, write_accepted
from harness.asv.alarms import Judged, Question, judge
from harness.asv.histories import History
from harness.asv.noise import Spread
from harness.asv.regressions import Jump, Regression
from harness.asv.series import current_version
from harness.errors import UserError

COMMITS = tuple(f"{number:040x}" for number in range(40))
LABEL, MACHINE = "lif bptt mlp digits quick", "runner"
BEFORE = [1.0, 1.005, 0.995, 1.0, 1.003, 0.997]
"""Six runs of one level, with 0.4 % of noise."""


def history(values: Sequence[float], at: Sequence[int] | None = None, metric: str = "train_step_seconds") -> History:
    commits = tuple(COMMITS[place] for place in at or range(len(values)))
    return History("throughput", metric, LABEL, MACHINE, "python 3.11", commits, tuple(values))


def spread(between: float = 0.005, judged_from: str = COMMITS[0], metric: str = "train_step_seconds") -> Spread:
    return Spread(
        suite="throughput",
        metric=metric,
        label=LABEL,
        machine=MACHINE,
        version=current_version("throughput"),
        between=between,
        runs=10,
        value=1.0,
        lowest=0.99,
        highest=1.01,
        commit=judged_from,
        judged_from=judged_from,
        first="2026-03-01T01:00:00+00:00",
        last="2026-03-01T06:00:00+00:00",
        python="3.11",
        packages={"torch": "2.13.0"},
    )


def accepted(commit: str, machine: str | None = MACHINE) -> Accepted:
    return Accepted(
        suite="throughput",
        metric="train_step_seconds",
        label=LABEL,
        machine=machine,
        commit=commit,
        ratio=1.1,
        reason="Checks its input now.",
        day="2026-03-01",
    )


def judged(
    histories: Sequence[History],
    spreads: Sequence[Spread] = (),
    taken: Sequence[Accepted] = (),
    since: str | None = None,
    regressions: Sequence[Regression] = (),
) -> Judged:
    thresholds = {"throughput\\.": 0.1}
    question = Question(histories, regressions, COMMITS, frozenset(COMMITS), since, spreads, taken, thresholds)
    return judge(question, registry())


def test_a_tenth_is_found_by_its_second_run_with_its_commit_and_an_interval() -> None:
    found = judged([history([*BEFORE, 1.1, 1.105])], [spread()])
    (alarm,) = found.regressions
    assert (alarm.first, alarm.last_before, alarm.unmeasured) == (COMMITS[6], COMMITS[5], ())
    assert alarm.interval is not None
    low, high = alarm.interval
    assert low < 1.1025 < high
    assert high - low < 0.04
    assert (found.by_noise, found.by_asv, found.too_noisy) == (1, 0, 0)


def test_one_run_is_a_suspicion_and_no_alarm() -> None:
    found = judged([history([*BEFORE, 1.1])], [spread()])
    assert found.alarms == ()
    (one,) = found.suspicions
    assert (one.commit, one.worse) == (COMMITS[6], True)
    assert one.ratio == pytest.approx(1.1, rel=0.01)
    assert judged([history([*BEFORE, 1.01])], [spread()]).suspicions == ()


def test_commits_between_the_last_good_and_the_first_bad_are_told() -> None:
    at = [0, 1, 2, 3, 4, 5, 10, 11]
    (alarm,) = judged([history([*BEFORE, 1.1, 1.105], at)], [spread()]).alarms
    assert (alarm.last_before, alarm.first) == (COMMITS[5], COMMITS[10])
    assert alarm.unmeasured == COMMITS[6:10]


def test_an_improvement_is_told_and_fails_nothing() -> None:
    found = judged([history([*BEFORE, 0.9, 0.905])], [spread()])
    assert [alarm.verdict for alarm in found.alarms] == ["improvement"]
    assert found.regressions == ()


def test_what_came_and_went_is_none() -> None:
    there_and_back = [*BEFORE, 1.1, 1.105, 1.1, *BEFORE]
    assert judged([history(there_and_back)], [spread()]).regressions == ()


def test_half_of_it_mended_is_still_a_regression() -> None:
    values = [*BEFORE, 1.3, 1.305, 1.3, 1.1, 1.105, 1.1]
    found = judged([history(values)], [spread()])
    assert [(alarm.verdict, alarm.first) for alarm in found.alarms] == [
        ("regression", COMMITS[6]),
        ("improvement", COMMITS[9]),
    ]


def test_noise_decides_what_is_an_alarm() -> None:
    values = [*BEFORE, 1.04, 1.045]
    assert len(judged([history(values)], [spread(0.004)]).regressions) == 1, "4 %, and asv.conf.json says 10"
    noisy = judged([history(values)], [spread(0.03)])
    assert noisy.alarms == ()
    assert noisy.too_noisy == 1


def test_a_spread_of_another_ruler_machine_or_figure_decides_nothing() -> None:
    values = [*BEFORE, 1.04, 1.045]
    others = [
        spread().model_copy(update={"version": "suite 0, clock 0"}),
        spread().model_copy(update={"machine": "another"}),
        spread(metric="inference_step_seconds"),
    ]
    for other in others:
        found = judged([history(values)], [other])
        assert (found.by_noise, found.by_asv) == (0, 1)


def test_what_an_earlier_calibration_has_seen_is_not_judged_again() -> None:
    values = [*BEFORE, 1.1, 1.105, 1.1, 1.1]
    assert judged([history(values)], [spread(judged_from=COMMITS[8])]).alarms == ()
    assert judged([history(values)], [spread()], since=COMMITS[7]).alarms == ()
    assert len(judged([history(values)], [spread()], since=COMMITS[6]).alarms) == 1, "confirmed after it"
    assert len(judged([history(values)], [spread(judged_from="f" * 40)]).alarms) == 1, "a commit of another history"


def test_from_an_accepted_commit_on_the_new_level_counts() -> None:
    values = [*BEFORE, 1.1, 1.105, 1.1, 1.1]
    taken = [accepted(COMMITS[6])]
    assert judged([history(values)], [spread()], taken).alarms == ()
    (alarm,) = judged([history([*values, 1.21, 1.215])], [spread()], taken).alarms
    assert alarm.old == pytest.approx(1.1, rel=0.01)
    assert alarm.first == COMMITS[10]
    (back,) = judged([history([*values, *BEFORE])], [spread()], taken).alarms
    assert back.verdict == "improvement", "what was accepted has gone"


def test_what_was_accepted_on_another_machine_is_not_accepted_here() -> None:
    values = [*BEFORE, 1.1, 1.105]
    assert len(judged([history(values)], [spread()], [accepted(COMMITS[6], "another")]).alarms) == 1
    assert judged([history(values)], [spread()], [accepted(COMMITS[6], None)]).alarms == ()
    assert len(judged([history(values)], [spread()], [accepted("f" * 40)]).alarms) == 1, "a commit of another history"


def found_by_asv(machine: str | None = MACHINE) -> Regression:
    jumps = (Jump(None, COMMITS[6], 1.0, 1.3),)
    entry = f"throughput.Throughput.track_train_step_seconds('{LABEL}')@HEAD"
    return Regression(entry, "throughput", "train_step_seconds", LABEL, "", jumps, 1.0, 1.3, machine)


@pytest.mark.parametrize("machine", [MACHINE, None])
def test_without_a_spread_asv_decides_and_can_be_overruled(machine: str | None) -> None:
    values = [*BEFORE, 1.3, 1.3]
    (alarm,) = judged([history(values)], regressions=[found_by_asv(machine)]).alarms
    assert (alarm.first, alarm.last_before, alarm.interval) == (COMMITS[6], COMMITS[5], None)
    assert judged([history(values)], (), [accepted(COMMITS[6])], regressions=[found_by_asv(machine)]).alarms == ()
    calm = judged([history([*BEFORE, 1.01, 1.01])], [spread()], regressions=[found_by_asv(machine)])
    assert calm.alarms == (), "measured noise decides, whatever asv says"


def test_without_a_spread_a_fall_is_told_by_the_rule_of_rises() -> None:
    found = judged([history([*BEFORE, 0.7, 0.7, 0.7])])
    (alarm,) = found.alarms
    assert (alarm.verdict, alarm.first, alarm.last_before) == ("improvement", COMMITS[6], COMMITS[5])
    assert alarm.ratio == pytest.approx(0.7, rel=0.01)
    assert judged([history([*BEFORE, 0.95, 0.95, 0.95])]).alarms == (), "less than the threshold of asv.conf.json"
    assert judged([history([*BEFORE, 0.7, 0.7, 0.7])], (), [accepted(COMMITS[6])]).alarms == ()


def test_what_was_accepted_is_kept_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "accepted.jsonl"
    assert read_accepted(path) == []
    lines = [accepted(COMMITS[6]), accepted(COMMITS[9], None).model_copy(update={"ratio": None})]
    write_accepted(path, lines)
    assert len(path.read_text().splitlines()) == 2
    assert read_accepted(path) == lines
    path.write_text('{"suite": "throughput"}\n')
    with pytest.raises(UserError, match="line 1: metric: Field required"):
        read_accepted(path)
