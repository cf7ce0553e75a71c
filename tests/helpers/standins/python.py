"""A stand-in for Python: nothing is installed, and nox runs in the environment that there is."""

import json
import os
import sys
from pathlib import Path

words = sys.argv[1:]
if words[:2] == ["-m", "pip"]:
    with Path(os.environ["STANDIN_LOG"]).open("a") as log:
        log.write(json.dumps(["pip", *words[2:]]) + "\n")
    sys.exit()
if words[:2] == ["-m", "nox"]:
    words = ["-m", "nox", "--no-venv", "--no-install", *words[2:]]
os.execv(sys.executable, [sys.executable, *words])
