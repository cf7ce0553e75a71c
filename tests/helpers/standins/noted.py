"""A stand-in that notes how it was called, and is content."""

import json
import os
import sys
from pathlib import Path

with Path(os.environ["STANDIN_LOG"]).open("a") as log:
    log.write(json.dumps([os.environ["STANDIN_FOR"], *sys.argv[1:]]) + "\n")
