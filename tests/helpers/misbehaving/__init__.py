"""A third-party package of neurons that misbehave on purpose, and of suites that put them to work.

`install` writes it the way pip would leave it: a folder of modules beside a ``dist-info`` with entry points, so that
discovery itself is part of what is tested.
"""

from __future__ import annotations

import textwrap
import time
from dataclasses import replace
from pathlib import Path

import psutil

from harness.catalogue.cards import MetricCard, Registry, Row, SuiteCard
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.execute.job import Job

GIB = 1 << 30
PACKAGE = "misbehaving_neurons"

FORWARDS = {
    "well-behaved": "return (x > 0).to(x)",
    "waits": """
        while not os.path.exists(os.environ["FLAG"]):
            time.sleep(0.01)
        return x
    """,
    "hangs": """
        pid = subprocess.Popen(["sleep", "3600"]).pid
        print(f"started {pid}")
        time.sleep(3600)
    """,
    "ignores-sigterm": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass
    """,
    "raises": "raise ValueError('the weights are\\\\nmissing')",
    "segfaults": """
        print("about to fall")
        ctypes.string_at(0)
    """,
    "kills-itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "exits": "os._exit(3)",
    "eats-memory": "return torch.cat([torch.empty(1 << 26) for _ in range(1000)])",
    "feeds-children": """
        eat = "import time; food = b'x' * (200 << 20); time.sleep(3600)"
        children = [subprocess.Popen([sys.executable, "-c", eat]) for _ in range(4)]
        children[0].wait()
    """,
    "leaves-its-session": """
        self.notes["pids"] = [started(os.setsid)]
        return x
    """,
    "leaves-its-group": """
        self.notes["pids"] = [started(lambda: os.setpgid(0, 0))]
        return x
    """,
    "leaves-its-parent": """
        self.notes["pids"] = [started(os.setsid, orphaned=True), started(lambda: None, orphaned=True)]
        return x
    """,
    "hides-what-it-eats": """
        code = "import time; food = b'x' * (200 << 20); time.sleep(3600)"
        def eat():
            os.setsid()
            os.execv(sys.executable, [sys.executable, "-c", code])
        for _ in range(4):
            started(eat, orphaned=True)
        time.sleep(3600)
    """,
    "kills-its-parent": """
        started(os.setsid, orphaned=True, note="orphan")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(3600)
    """,
    "kills-its-server": """
        supervisor = os.getppid()
        server = int(pathlib.Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
        wait, go = os.pipe()
        def kills_both():
            os.setsid()
            os.read(wait, 1)
            os.kill(server, signal.SIGSTOP)  # whoever sees that it is gone finds the supervisor gone too
            os.kill(supervisor, signal.SIGKILL)
            while os.getppid() != server:  # which adopts it
                time.sleep(0.001)
            os.kill(server, signal.SIGKILL)
        started(os.setsid, orphaned=True, note="orphan")
        started(kills_both, orphaned=True, note="orphan")
        sys.stdout.flush()
        os.write(go, b"!")
        time.sleep(3600)
    """,
    "annoys-its-parent": """
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
            os.kill(os.getppid(), number)
        return x
    """,
    "removes-its-folder": """
        self.notes["folder"] = os.getcwd()
        pathlib.Path("left behind").write_text("x")
        shutil.rmtree(os.getcwd())
        return x
    """,
    "calls-exit": "sys.exit(0)",
    "exits-when-flushed": """
        class Stream(io.StringIO):
            def flush(self):
                sys.exit(0)
        sys.stdout = sys.stderr = Stream()
        return x
    """,
    "closes-stdout": """
        sys.stdout.close()
        os.close(1)
        return x
    """,
    "closes-everything": """
        os.closerange(0, 256)
        return x
    """,
    "closes-and-opens": """
        os.closerange(0, 256)
        self.files = [open(os.devnull, "w") for _ in range(64)]
        return x
    """,
    "forks-and-comes-back": """
        if os.fork() == 0:
            return x * float("nan")
        time.sleep(0.5)
        return x
    """,
    "forks-and-exits": """
        if os.fork() == 0:
            sys.exit(0)
        time.sleep(0.5)
        return x
    """,
    "becomes-nan": "return x * float('nan')",
    "prints-lines": """
        for number in range(20_000):
            print(f"line {number} of a great many that nobody reads")
        raise ValueError("tired")
    """,
    "prints-a-long-line": """
        os.write(2, b"x" * (1 << 20))
        raise ValueError("out of breath")
    """,
    "prints-for-ever": """
        while True:
            os.write(1, b"and so on\\\\n" * 1000)
    """,
    "leaves-a-process": """
        self.notes["pid"] = subprocess.Popen(["sleep", "3600"]).pid
        return x
    """,
    "leaves-a-semaphore": """
        sys.left_behind = multiprocessing.get_context("spawn").Lock()
        return x
    """,
    "leaves-a-thread": """
        threading.Thread(target=time.sleep, args=(3600,)).start()
        return x
    """,
}
"""For each neuron, the body of its ``forward``."""

MODULE = '''
"""Generated for a test."""

import ctypes, io, multiprocessing, os, pathlib, shutil, signal, subprocess, sys, threading, time

import torch

from reference_impls.api import ParallelNeuron

CARD = {{
    "name": "{name}",
    "kind": "neuron",
    "title": "{name}",
    "summary": "Misbehaves on purpose.",
    "version": 1,
    "capabilities": {{
        "parallel": "closed_form",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "none",
        "reset": "none",
    }},
}}


def started(first, orphaned=False, note=""):
    """Start a process that does `first` and then hangs, holding every descriptor it has; return its id."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        if orphaned and os.fork() != 0:
            os._exit(0)
        os.write(writer, str(os.getpid()).encode())
        first()
        time.sleep(3600)
    pid = int(os.read(reader, 20))
    if note:
        print(note, pid)
    return pid


class Misbehaving(ParallelNeuron):
    def __init__(self):
        super().__init__()
        self.notes = {{}}

    def forward(self, x):
{body}
'''

SUITES = {
    "probe": "Runs the neuron once and reports what its process looks like.",
    "awkward": "Answers in the way that the cell's budget names.",
    "unsteady": "Is too noisy as often as the cell's budget says.",
    "timed": "Measures a time, which others disturb.",
}


def install(folder: Path) -> None:
    """Write the package into `folder`, which the caller puts on the import path."""
    package = folder / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    lines = ["[spikeboard.implementations]"]
    for name, body in FORWARDS.items():
        module = name.replace("-", "_")
        text = textwrap.indent(textwrap.dedent(body).strip(), " " * 8)
        (package / f"{module}.py").write_text(MODULE.format(name=name, body=text.replace("\\\\", "\\")))
        lines.append(f"{name} = {PACKAGE}.{module}")
    for suite in SUITES:
        (package / f"suite_{suite}.py").write_text((Path(__file__).parent / f"{suite}.py").read_text())
    info = folder / f"{PACKAGE}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def registry_with_suites() -> Registry:
    """Return all rows that are found, and those of the suites here."""
    registry = load_registry()
    return replace(registry, suites={**registry.suites, **{name: _suite_row(name) for name in SUITES}})


def job(
    neuron: str,
    suite: str = "probe",
    *,
    exclusive: bool = False,
    timeout: float = 60.0,
    memory_bytes: int = 3 * GIB // 2,
    expected_seconds: float = 1.0,
    **axes: object,
) -> Job:
    """Return a job for one of the neurons."""
    cell = Cell(suite, neuron=neuron, **axes)  # type: ignore[arg-type]
    return Job(cell, "0123456789abcdef", exclusive, timeout, memory_bytes, expected_seconds)


def is_gone(pid: int, patience_seconds: float = 10.0) -> bool:
    """Whether a process is dead, or dies soon; a zombie that nobody has collected is dead."""
    patience_ends = time.monotonic() + patience_seconds
    while time.monotonic() < patience_ends:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def _suite_row(name: str) -> Row:
    card = SuiteCard(
        name=name,
        kind="suite",
        title=name,
        summary=SUITES[name],
        version=7,
        exclusive=name == "timed",
        timeout_seconds=60.0,
        typical_seconds=0.1,
        metrics={
            "spike_fraction": MetricCard("Spikes", "1", "none", exact=True),
            "step_seconds": MetricCard("Step", "seconds" if name == "timed" else "s", "lower"),
        },
    )
    path = Path(__file__).parent / f"{name}.py"
    return Row(name, "suite", name, SUITES[name], card, {}, None, path, f"{PACKAGE}.suite_{name}")
