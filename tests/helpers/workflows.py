"""GitHub's workflows on this machine: their steps are run in clones, with stand-ins for what is not here.

The actions that the workflows use (checkout, artefacts, caches) are done with git and copies, expressions are looked up
in a table, and commands run as they stand there. What the stand-ins do not know is an error, so that a new kind of step
is not passed over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["FOLDER", "Done", "Forge", "Job", "jobs", "small_repository", "workflow"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
STANDINS = Path(__file__).with_name("standins")
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_NOTHING_TO_DO = ("actions/setup-python", "actions/cache", "actions/cache/restore", "actions/deploy-pages")
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "tests"), ("EMAIL", "tests@example.org"))
}


@dataclass(frozen=True)
class Job:
    """A job of a workflow, as its file has it."""

    workflow: str
    name: str
    body: Mapping[str, Any]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.body["steps"])

    def __str__(self) -> str:
        return f"{self.workflow}: {self.name}"


@dataclass(frozen=True)
class Done:
    """A command that was run."""

    line: str
    code: int
    said: str


def workflow(path: Path) -> dict[str, Any]:
    """Read a workflow; its key ``on`` is true in YAML 1.1."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {("on" if key is True else key): value for key, value in found.items()}


def jobs() -> Iterator[Job]:
    """Yield every job of every workflow."""
    for path in sorted(FOLDER.glob("*.yml")):
        for name, body in workflow(path)["jobs"].items():
            yield Job(path.stem, name, body)


def git(folder: Path, *arguments: str) -> str:
    said = subprocess.run(
        ["git", "-C", str(folder), *arguments], env={**os.environ, **IDENTITY}, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    return said.stdout.strip()


def small_repository(folder: Path) -> Path:
    """Make a repository of the working tree as it is, without its records and its history."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith("reports/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "The project")
    return folder


@dataclass
class Forge:
    """GitHub, as far as the workflows see it.

    Parameters
    ----------
    origin : repository that checkouts are made of.
    folder : for everything else: workspaces, artefacts, comments, the log of what was called.
    real : whether ``spikeboard`` is the project's, on a smaller piece of work, or only checks how it is called.
    """

    origin: Path
    folder: Path
    real: bool = False
    expressions: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tools = self.folder / "tools"
        self.artifacts = self.folder / "artifacts"
        self.temporary = self.folder / "temporary"
        self.log = self.folder / "log.jsonl"
        self.github = self.folder / "github.json"
        for made in (self.tools, self.artifacts, self.temporary):
            made.mkdir(parents=True)
        for source in STANDINS.iterdir():
            for name in _names_of(source.stem):
                starter = self.tools / name
                starter.write_text(f'#!/bin/sh\nSTANDIN_FOR={name} exec "{sys.executable}" "{source}" "$@"\n')
                starter.chmod(starter.stat().st_mode | stat.S_IEXEC)

    def called(self) -> list[list[str]]:
        """Return what was called of the stand-ins, with its arguments."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def run(self, job: Job, matrix: Mapping[str, str] | None = None) -> list[Done]:
        """Run a job to its end, or to its first command that fails; return its commands."""
        workspace = self.folder / "workspaces" / f"{job.workflow}-{job.name}"
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.rmtree(self.temporary)
        self.temporary.mkdir()
        workspace.mkdir(parents=True)
        table = {**self.expressions, **{f"matrix.{name}": value for name, value in (matrix or {}).items()}}
        table |= {"github.workspace": str(workspace), "runner.temp": str(self.temporary)}
        done: list[Done] = []
        failed = False
        for step in job.steps:
            condition = str(step.get("if", "")).strip("${} ")
            if (failed and condition != "!cancelled()") or (condition and not self.conditions[condition]):
                continue
            if "uses" in step:
                self._use(step, workspace, table)
                continue
            one = self._command(step, {**job.body.get("env", {}), **step.get("env", {})}, workspace, table)
            done.append(one)
            failed = failed or (one.code != 0 and not step.get("continue-on-error", False))
        return done

    def _command(
        self, step: Mapping[str, Any], variables: Mapping[str, Any], workspace: Path, table: Mapping[str, str]
    ) -> Done:
        given = {name: _filled(str(value), table) for name, value in variables.items()}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "SPIKEBOARD_"))},
            **IDENTITY,
            "PATH": os.pathsep.join([str(self.tools), os.environ["PATH"]]),
            # A stand-in needs no other code than this, which is compiled already.
            "PYTHONPATH": str(workspace if self.real else ROOT),
            "OMP_NUM_THREADS": "1",
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_REPOSITORY": "someone/spikeboard",
            "GITHUB_RUN_ID": "4711",
            "STANDIN_LOG": str(self.log),
            "STANDIN_GITHUB": str(self.github),
            "STANDIN_REAL": "1" if self.real else "",
            "STANDIN_TESTS": str(Path(__file__).parent),
            **given,
        }
        line = str(step["run"])
        said = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line],
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Done(line, said.returncode, said.stdout)

    def _use(self, step: Mapping[str, Any], workspace: Path, table: Mapping[str, str]) -> None:
        action = str(step["uses"]).partition("@")[0]
        given = {name: _filled(str(value), table) for name, value in step.get("with", {}).items()}
        match action:
            case "actions/checkout":
                self._checkout(given, workspace)
            case "actions/upload-artifact":
                self._upload(given, workspace)
            case "actions/download-artifact":
                shutil.copytree(self.artifacts / given["name"], workspace / given["path"], dirs_exist_ok=True)
            case "actions/upload-pages-artifact":
                self._upload({"name": "github-pages", **given}, workspace)
            case known if known in _NOTHING_TO_DO:
                pass
            case _:
                raise AssertionError(f"no stand-in for the action {action}")

    def _checkout(self, given: Mapping[str, str], workspace: Path) -> None:
        target = workspace / given.get("path", ".")
        if not (target / ".git").exists():
            target.mkdir(parents=True, exist_ok=True)
            git(target, "init", "-q")
            git(target, "remote", "add", "origin", str(self.origin))
            # Objects are looked up where they are: a checkout of a small repository is its files alone.
            (target / ".git/objects/info/alternates").write_text(f"{self.origin / '.git' / 'objects'}\n")
        git(target, "fetch", "-q", "origin", "+refs/*:refs/there/*")
        ref = given.get("ref") or self.expressions["github.ref"]
        if git(self.origin, "branch", "--list", ref):
            git(target, "checkout", "-q", "--force", "-B", ref, f"refs/there/heads/{ref}")
            git(target, "config", "push.default", "current")
        else:
            commit = ref if re.fullmatch(r"[0-9a-f]{40}", ref) else f"refs/there/{ref.removeprefix('refs/')}"
            git(target, "checkout", "-q", "--force", "--detach", commit)

    def _upload(self, given: Mapping[str, str], workspace: Path) -> None:
        """Keep files as an artefact has them: below the folder that all its paths share."""
        target = self.artifacts / given["name"]
        shutil.rmtree(target, ignore_errors=True)
        paths = [workspace / line for line in given["path"].split("\n") if line]
        there = [path for path in paths if path.exists()]
        assert there or given.get("if-no-files-found") != "error", f"nothing to upload: {paths}"
        top = Path(os.path.commonpath(paths)) if len(paths) > 1 else paths[0]
        for path in there:
            if path.is_dir():
                shutil.copytree(path, target / path.relative_to(top), dirs_exist_ok=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / path.name)


def _names_of(stem: str) -> tuple[str, ...]:
    """Return the commands that a stand-in takes the place of."""
    if stem == "noted":
        return ("pytest", "ruff", "mypy", "lint-imports", "check-jsonschema", "zizmor", "actionlint", "mkdocs")
    return (stem, "python3") if stem == "python" else (stem,)


def _filled(text: str, table: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: table[found[1]], text)
