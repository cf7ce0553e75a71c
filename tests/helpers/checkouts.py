"""A copy of the two packages that a test may write an implementation into, and the command run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_packages(folder: Path) -> Path:
    for package in ("harness", "reference_impls"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return folder


def spikeboard(folder: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-c", "from harness.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    result = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert result.returncode == code, result.stdout
    return result.stdout
