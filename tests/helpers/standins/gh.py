"""A stand-in for ``gh api``: one repository in a file, its pull requests and their comments."""

import itertools
import json
import os
import sys
from pathlib import Path

FILE = Path(os.environ["STANDIN_GITHUB"])
state = json.loads(FILE.read_text())
verb, path, *options = sys.argv[1:]
assert verb == "api", sys.argv
assert os.environ["GH_TOKEN"], "nobody may ask without a token"
method = options[options.index("--method") + 1] if "--method" in options else "GET"
fields = dict(one.split("=", 1) for mark, one in itertools.pairwise(options) if mark == "-f")
body = json.loads(sys.stdin.read())["body"] if "--input" in options else None
answer: object
match (method, path.removeprefix("repos/someone/spikeboard/").partition("?")[0].split("/")):
    case ("GET", ["pulls"]):
        assert fields["state"] == "open"
        answer = [one for one in state["pulls"] if one["head"]["label"] == fields["head"]]
    case ("GET", ["issues", number, "comments"]):
        assert "--slurp" in options, "pages are lists of their own"
        answer = [[one for one in state["comments"] if one["issue"] == int(number)]]
    case ("POST", ["issues", number, "comments"]):
        answer = {
            "id": 1 + len(state["comments"]), "issue": int(number), "body": body,
            "user": {"login": "github-actions[bot]"},
        }  # fmt: skip
        state["comments"].append(answer)
    case ("PATCH", ["issues", "comments", identity]):
        (answer,) = (one for one in state["comments"] if one["id"] == int(identity))
        answer["body"] = body
    case asked:
        raise SystemExit(f"gh: no stand-in for {asked}")
FILE.write_text(json.dumps(state))
print(json.dumps(answer))
