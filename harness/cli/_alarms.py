"""Alarms as lines: what, by how much, since when, how sure, and the commands that show, narrow down and accept it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.terminal import say

if TYPE_CHECKING:
    from harness.asv.alarms import Alarm, Judged

__all__ = ["bench_of", "tell_alarms", "tell_rules"]

COLOURS = {"regression": "red", "improvement": "green"}


def tell_alarms(judged: Judged) -> None:
    """Say every change that has lasted, and what the next run will decide."""
    for alarm in judged.alarms:
        say(
            f"{alarm.verdict}: {alarm.suite} {alarm.metric} of {alarm.label}: {alarm.old:.4g} -> {alarm.new:.4g}"
            f" at {alarm.first[:10]} ({alarm.where or 'one machine'})",
            fg=COLOURS[alarm.verdict],
        )
        for line in _details(alarm):
            say(f"  {line}")
    for one in judged.suspicions:
        say(
            f"watch: {one.suite} {one.metric} of {one.label}: {one.ratio - 1:+.1%} at {one.commit[:10]}; "
            "one run alone is no alarm, the next one decides",
            fg="yellow" if one.worse else None,
        )


def tell_rules(judged: Judged, since: str | None) -> None:
    """Say by what the series were judged, and since when where that is not what the command was asked: `since`."""
    from harness.report.words import count
    from harness.results.steps import SEARCHED

    if judged.by_noise:
        say(
            f"judged by measured noise: {count(judged.by_noise, 'figure')}"
            f"{'' if since else ', since their first calibration'}; {judged.too_noisy} too noisy for {SEARCHED:.0%} "
            "within two runs"
        )
    if judged.noisier_nights:
        say(
            f"{count(judged.noisier_nights, 'figure')} with more noise from commit to commit than when calibrated, and "
            "judged by that; calibrate again, over more time: spikeboard calibrate --over 6h",
            fg="yellow",
        )
    if judged.by_asv:
        say(
            f"judged by asv's step detection: {count(judged.by_asv, 'figure')} without a measured spread "
            "(spikeboard calibrate measures that of times)"
        )


def _details(alarm: Alarm) -> Sequence[str]:
    lines = [_by_how_much(alarm), _since(alarm)]
    where = f"--cell {shlex.quote(alarm.label)} --bench {shlex.quote(bench_of(alarm))}"
    device = " --device cuda" if "device=cuda" in alarm.label.split() else ""
    since = f" --since {alarm.last_before[:10]}" if alarm.last_before else ""
    lines.append(f"shown by: spikeboard asv --publish {where}{since}")
    if alarm.unmeasured:
        middle = alarm.unmeasured[len(alarm.unmeasured) // 2]
        how = f": spikeboard asv '{middle[:10]}^!' {where}{device}" if _is_tracked(alarm) else f", {middle[:10]}"
        lines.append(f"narrowed down by measuring the middle one{how}")
    lines.append(f"accepted by: spikeboard accept {where} --reason '...'")
    return lines


def _is_tracked(alarm: Alarm) -> bool:
    """Whether asv itself measures the series; others come from records of ``spikeboard run``."""
    from harness.asv.series import SUITES, tracked_cells

    return alarm.suite in SUITES and alarm.label in tracked_cells(alarm.suite)


def _by_how_much(alarm: Alarm) -> str:
    said = f"{alarm.ratio - 1:+.1%}"
    if alarm.interval is None or alarm.noise is None:
        return f"{said}, by asv's step detection; no interval, because its noise is not measured: spikeboard calibrate"
    low, high = alarm.interval
    source = "its own history" if alarm.noise.of_nights else f"{alarm.noise.runs} runs of one commit"
    return (
        f"{said} (95 %: {low - 1:+.1%} to {high - 1:+.1%}), by the spread of {source}: {alarm.noise.between:.2%} "
        "between runs"
    )


def _since(alarm: Alarm) -> str:
    from harness.report.words import count

    if alarm.last_before is None:
        return f"since {alarm.first[:10]}"
    said = f"since {alarm.first[:10]}; the last one before it with a figure is {alarm.last_before[:10]}"
    if not alarm.unmeasured:
        return f"{said}, directly"
    return f"{said}, {count(len(alarm.unmeasured), 'commit')} between them without one"


def bench_of(alarm: Alarm) -> str:
    """Return a regular expression of asv's benchmarks that matches the figure alone."""
    from harness.asv.series import benchmark_name

    return f"{benchmark_name(alarm.suite, alarm.metric)}$".replace(".", r"\.")
