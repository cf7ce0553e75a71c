"""The workflows of GitHub: every step's command runs in a clone, and no stranger's code is run with rights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import sessions
from workflows import FOLDER, ROOT, Forge, Job, git, jobs, small_repository, workflow

from harness.cli import app
from harness.report.change_notes import MARK, MOST_LETTERS
from harness.results.store import Store

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")

JOBS = list(jobs())
BY_NAME = {str(job): job for job in JOBS}
MAY_WRITE = {
    "comment: post": {"pull-requests"},
    "history: keep": {"contents"},
    "pages: deploy": {"pages", "id-token"},
}
"""Jobs that have a token which may write something, and what."""
COMMAND = re.compile(r"python -m nox -s \S+|python -m pip install nox\b|spikeboard ")
WITHOUT_PROJECT_CODE = re.compile(r"git |cp -R build/history/reports \.$|python3 \.github/comment\.py ")
VERBS = {str(verb.name) for verb in app.registered_commands}


def words(job: Job) -> list[str]:
    return [str(step["run"]) for step in job.steps if "run" in step]


def cases() -> Iterator[tuple[str, dict[str, str]]]:
    for job in (job for job in JOBS if job.workflow == "tests"):
        axes = job.body.get("strategy", {}).get("matrix", {})
        for name, values in axes.items() or [("", [""])]:
            yield from ((str(job), {name: value}) for value in values)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_starts_without_rights_and_no_stranger_gets_any(path: Path) -> None:
    found = workflow(path)
    assert found["permissions"] in ({}, {"contents": "read"})
    assert not {"pull_request_target", "issue_comment"} & set(found["on"]), "code of strangers, with our token"
    for name, body in found["jobs"].items():
        job = BY_NAME[f"{path.stem}: {name}"]
        rights = {what for what, level in body.get("permissions", {}).items() if level == "write"}
        assert rights == MAY_WRITE.get(str(job), set())
        if rights:
            assert all(WITHOUT_PROJECT_CODE.match(line) for line in words(job)), "what may write runs nothing of ours"


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_a_job_is_bounded_and_its_steps_are_pinned_and_plain(job: Job) -> None:
    assert 0 < job.body["timeout-minutes"] <= 360
    for step in job.steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", step["uses"])
        if str(step.get("uses", "")).startswith("actions/checkout"):
            keeps = str(job) == "history: keep"
            assert step["with"]["persist-credentials"] is keeps, "a token on the disk is there for whatever runs next"
        for line in [step["run"]] if "run" in step else []:
            assert "${{" not in line, "a name that somebody chose would become a command: give it as a variable"
            assert COMMAND.match(line) or WITHOUT_PROJECT_CODE.match(line), (
                "what is to be thought out stands in noxfile.py"
            )
            assert len(line.splitlines()) == 1
    assert "secrets." not in json.dumps(job.body)


def test_what_runs_on_our_own_machine_is_alone_there_and_has_the_whole_history() -> None:
    own = [job for job in JOBS if "self-hosted" in job.body["runs-on"]]
    assert [str(job) for job in own] == ["benchmark: measure", "history: measure"]
    for job in own:
        assert "gpu" in job.body["runs-on"]
        assert job.body["concurrency"] == {"group": "spikeboard-gpu", "cancel-in-progress": False}
        assert job.steps[0]["with"]["fetch-depth"] == 0
        cached = "\n".join(step["with"]["path"] for step in job.steps if "actions/cache" in step.get("uses", ""))
        assert {".nox", ".asv/env", ".cache"} == set(cached.split())
        assert all(".cache/" in job.body["env"][name] for name in ("SPIKEBOARD_DATA", "SPIKEBOARD_KERNELS"))
        assert any(step["uses"].startswith("actions/upload-artifact@") for step in job.steps if "uses" in step)
    benchmark = own[0]
    assert benchmark.body["if"] == "github.event.label.name == 'benchmark'", "a maintainer has looked"
    saved = [step["uses"].partition("@")[0] for step in benchmark.steps if "actions/cache" in step.get("uses", "")]
    assert set(saved) == {"actions/cache/restore"}, "a pull request leaves nothing for the next"
    keys = [
        [step["with"]["key"].partition("${{")[0] for step in job.steps if "actions/cache" in step.get("uses", "")]
        for job in own
    ]
    assert keys[0] == keys[1]


def test_each_session_that_the_workflows_name_exists() -> None:
    named = {found for job in JOBS for line in words(job) for found in re.findall(r"nox -s (\w+)", line)}
    named |= {value for job, matrix in cases() for axis, value in matrix.items() if axis == "session"}
    assert {"tests", "lint", "runner", "alternate", "compare", "asv", "docs", "cluster", "submissions"} <= named
    assert named <= sessions()


def with_branches(folder: Path) -> Path:
    """Return a repository with a history, and pull requests that make things slower and add submissions."""
    folder = small_repository(folder)
    git(folder, "switch", "-q", "--orphan", "history")
    (folder / "reports" / "asv" / "results").mkdir(parents=True)
    (folder / "reports" / "asv" / "results" / "README").write_text("asv's results, and records of runs.\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "History")
    git(folder, "switch", "-q", "-c", "pull", "main")
    (folder / "slow.txt").write_text("slow\n")
    for name in ("good", "with space"):
        (folder / "reports" / "submissions" / name).mkdir(parents=True)
        (folder / "reports" / "submissions" / name / "record.json").write_text("{}")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A change")
    git(folder, "update-ref", "refs/pull/7/merge", "HEAD")
    for branch, name in (("wrong", "a-wrong-one/record.json"), ("marking", "good.json"), ("marks", "somebody.json")):
        git(folder, "switch", "-q", "-c", branch, "main" if branch == "marks" else "pull")
        (folder / "reports" / "submissions" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "reports" / "submissions" / name).write_text("{}")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "What is not accepted")
    git(folder, "switch", "-q", "main")
    git(folder, "config", "receive.denyCurrentBranch", "ignore")
    return folder


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_branches(tmp_path_factory.mktemp("origin") / "spikeboard")


@pytest.fixture
def forge(origin: Path, tmp_path: Path) -> Forge:
    return on_pull_request(Forge(origin, tmp_path / "forge"))


def on_pull_request(forge: Forge) -> Forge:
    """Let the workflows see pull request 7, from somebody's branch."""
    head = git(forge.origin, "rev-parse", "pull")
    forge.expressions |= {
        "github.ref": "refs/pull/7/merge",
        "github.event.pull_request.base.sha": git(forge.origin, "rev-parse", "main"),
        "github.event.pull_request.head.sha": head,
        "github.token": "token",
        "github.repository_owner": "someone",
        "github.event.repository.name": "spikeboard",
        "github.event.workflow_run.id": "1",
        "github.event.workflow_run.head_repository.owner.login": "stranger",
        "github.event.workflow_run.head_branch": "pull",
        "github.event.workflow_run.head_sha": head,
        "steps.python.outputs.python-version": "3.11.9",
        "hashFiles('constraints.txt', 'pyproject.toml')": "0123",
        "runner.name": "gpu-1",
        "github.run_id": "4711",
        "steps.deploy.outputs.page_url": "https://example.org",
    }
    forge.conditions |= {"!cancelled()": True, "steps.history.outcome == 'success'": True}
    pulls = [{"number": 7, "head": {"label": "stranger:pull", "sha": head}}]
    forge.github.write_text(json.dumps({"pulls": pulls, "comments": []}))
    return forge


def on_main(forge: Forge) -> Forge:
    forge.expressions["github.ref"] = "main"
    return forge


def ended_well(forge: Forge, job: str, matrix: dict[str, str] | None = None) -> None:
    for one in forge.run(BY_NAME[job], matrix):
        assert one.code == 0, f"{one.line}\n{one.said[-3000:]}"


def comments(forge: Forge) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(forge.github.read_text())["comments"]
    return found


def marks(job: str) -> tuple[pytest.MarkDecorator, ...]:
    """Every run goes through lint, which looks at the workflows themselves; the others start a session and no more."""
    return () if job == "tests: lint" else (pytest.mark.slow,)


@pytest.mark.parametrize(
    ("job", "matrix"), [pytest.param(*case, id=f"{case[0]} {case[1]}", marks=marks(case[0])) for case in cases()]
)
def test_what_every_push_runs(forge: Forge, job: str, matrix: dict[str, str]) -> None:
    ended_well(forge, job, matrix)
    (_, *called) = forge.called()
    assert called, "a session that runs nothing"
    if "lint" in job:
        assert [words[0] for words in called[-3:]] == ["check-jsonschema", "zizmor", "actionlint"]
        assert len([word for word in called[-3] if word.endswith(".yml")]) == len(list(FOLDER.glob("*.yml")))


def test_a_pull_request_is_measured_beside_its_base_and_told(forge: Forge) -> None:
    ended_well(forge, "benchmark: measure")
    (turns,) = (words for words in forge.called() if words[:2] == ["spikeboard", "alternate"])
    assert turns[2:4] == [git(forge.origin, "rev-parse", "main"), "HEAD"]
    assert {"--require-quiet", "cuda", "throughput", "memory"} < set(turns)
    judged = forge.run(BY_NAME["benchmark: judge"])
    assert judged[-1].code == 1, judged[-1].said
    assert "2 cells: 2 regression" in judged[-1].said

    written = on_main(forge).run(BY_NAME["comment: write"])
    assert written[-1].code == 1, "told by the comment, and no failure of the workflow"
    ended_well(forge, "comment: post")
    (comment,) = comments(forge)
    assert comment["issue"] == 7
    assert comment["body"].startswith(MARK)
    assert "### Worse (2)" in comment["body"]
    assert "(https://someone.github.io/spikeboard/)" in comment["body"]

    (forge.artifacts / "comment" / "comment.md").write_text(f"{MARK}\n\nall is well\n")
    ended_well(forge, "comment: post")
    assert [one["body"] for one in comments(forge)] == [f"{MARK}\n\nall is well\n"], "in its place"


@pytest.mark.parametrize(
    ("note", "code"),
    [
        pytest.param("no mark", 2, id="not a note", marks=pytest.mark.slow),
        pytest.param(f"{MARK}\n" + "x" * 70_000, 2, id="too long", marks=pytest.mark.slow),
        pytest.param(f"{MARK}\nall is well\n", 0, id="a note"),
    ],
)
def test_only_a_note_is_posted_and_only_ours_is_replaced(forge: Forge, note: str, code: int) -> None:
    state = json.loads(forge.github.read_text())
    theirs = {"id": 1, "issue": 7, "body": f"{MARK}\nI am no robot", "user": {"login": "stranger"}}
    forge.github.write_text(json.dumps({**state, "comments": [theirs]}))
    (forge.artifacts / "comment").mkdir()
    (forge.artifacts / "comment" / "comment.md").write_text(note)
    (done,) = on_main(forge).run(BY_NAME["comment: post"])
    assert done.code == code, done.said
    assert comments(forge)[0] == theirs
    assert len(comments(forge)) == (2 if code == 0 else 1)


def test_a_pull_request_that_has_moved_on_is_left_alone(forge: Forge) -> None:
    (forge.artifacts / "comment").mkdir()
    (forge.artifacts / "comment" / "comment.md").write_text(f"{MARK}\nall is well\n")
    forge.expressions["github.event.workflow_run.head_sha"] = "0" * 40
    (done,) = on_main(forge).run(BY_NAME["comment: post"])
    assert done.code == 0
    assert "nothing is said" in done.said
    assert comments(forge) == []


def test_the_script_knows_the_note() -> None:
    script = (ROOT / ".github" / "comment.py").read_text()
    assert f'MARK = "{MARK}"' in script
    assert MOST_LETTERS < 65_536


@pytest.mark.slow
def test_the_night_adds_to_the_history_and_the_pages_show_it(forge: Forge) -> None:
    before = git(forge.origin, "rev-parse", "history")
    ended_well(on_main(forge), "history: measure")
    asv = [words[2:] for words in forge.called() if words[:2] == ["spikeboard", "asv"]]
    assert asv == [["HEAD^!"], ["HEAD^!", "--device", "cuda", "--gate"]]
    ended_well(forge, "history: keep")
    assert git(forge.origin, "rev-parse", "history~1") == before
    assert "machine.json" in git(forge.origin, "ls-tree", "-r", "--name-only", "history")
    assert (
        len([name for name in git(forge.origin, "ls-tree", "-r", "--name-only", "history").split() if "runs" in name])
        == 2
    )
    ended_well(forge, "history: keep")  # a night without news
    ended_well(forge, "pages: build")
    assert (forge.artifacts / "github-pages" / "index.html").exists()
    built = forge.folder / "workspaces" / "pages-build"
    assert len(Store(built / "reports" / "runs").read().records) == 2
    assert (built / "reports" / "asv" / "results" / "machine.json").exists()
    ended_well(forge, "pages: deploy")


def test_submissions_are_checked_by_the_code_of_the_base(forge: Forge) -> None:
    if "verify-submission" not in VERBS:
        pytest.skip("this version has no verify-submission")
    ended_well(forge, "submission: verify")
    assert verified(forge) == [f"build/incoming/reports/submissions/{name}" for name in ("good", "with space")]
    forge.expressions["github.event.pull_request.head.sha"] = git(forge.origin, "rev-parse", "wrong")
    *_, last = forge.run(BY_NAME["submission: verify"])
    assert last.code == 1
    assert "not accepted: a-wrong-one" in last.said
    assert len(verified(forge)) == 5, "all"
    workspace = forge.folder / "workspaces" / "submission-verify"
    assert git(workspace, "rev-parse", "HEAD") == git(forge.origin, "rev-parse", "main")


def test_marks_in_a_pull_request_are_refused_in_words(forge: Forge) -> None:
    forge.expressions["github.event.pull_request.head.sha"] = git(forge.origin, "rev-parse", "marking")
    *_, last = forge.run(BY_NAME["submission: verify"])
    assert last.code == 1
    assert "'reports/submissions/good.json': marks are given by the project" in last.said
    assert "not accepted: good.json" in last.said
    assert len(verified(forge)) == 2, "what else it adds is checked all the same"


def test_marks_of_the_base_are_not_taken_for_the_pull_requests(forge: Forge, tmp_path: Path) -> None:
    """Nor is taking marks away passed over."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(forge.origin), str(clone))
    git(clone, "switch", "-q", "--detach", "origin/marks")
    forge.origin = clone
    forge.expressions["github.event.pull_request.base.sha"] = git(clone, "rev-parse", "HEAD")
    ended_well(forge, "submission: verify")
    git(clone, "rm", "-q", "-r", "reports/submissions")
    git(clone, "commit", "-q", "-m", "Without marks")
    forge.expressions["github.event.pull_request.head.sha"] = git(clone, "rev-parse", "HEAD")
    *_, last = forge.run(BY_NAME["submission: verify"])
    assert last.code == 1
    assert "not accepted: somebody.json" in last.said


def verified(forge: Forge) -> list[str]:
    """Return the submissions that the command was asked to check."""
    return [words[2] for words in forge.called() if words[:2] == ["spikeboard", "verify-submission"]]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_way_with_the_real_command(tmp_path: Path) -> None:
    """On a processor and one row; what is measured is the same twice, so that nothing is worse but by chance."""
    origin = with_branches(tmp_path / "spikeboard")  # with a history that no stand-in has written to
    forge = on_pull_request(Forge(origin, tmp_path / "forge", real=True))
    ended_well(forge, "benchmark: measure")
    forge.run(BY_NAME["benchmark: judge"])
    on_main(forge).run(BY_NAME["comment: write"])
    ended_well(forge, "comment: post")
    (comment,) = comments(forge)
    assert "**Benchmark: " in comment["body"]
    ended_well(forge, "history: measure")
    ended_well(forge, "history: keep")
    ended_well(forge, "pages: build")
    assert (forge.artifacts / "github-pages" / "index.html").exists()
    assert (forge.artifacts / "github-pages" / "asv" / "index.html").exists()
