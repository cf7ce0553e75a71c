"""Put a note under the pull request that a benchmark was of, or replace the one that is there.

For comment.yml, with the token that may write: it runs nothing, and asks GitHub through ``gh``. Which pull request it
is comes from GitHub's event alone, never from what the benchmark left. Needs Python and ``gh`` only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MARK = "<!-- spikeboard compare -->"
"""First line of a note, by which it is found again."""
AUTHOR = "github-actions[bot]"
"""Who writes the notes: what somebody else has written is not replaced, whatever its first line."""
MOST_LETTERS = 65_536


def main(arguments: list[str], environment: dict[str, str]) -> int:
    """Return 0 if the note stands where it belongs, or there is no such pull request any more."""
    if len(arguments) != 1:
        print("usage: comment.py FILE", file=sys.stderr)
        return 2
    text = Path(arguments[0]).read_text(encoding="utf-8")
    if not text.startswith(MARK) or len(text) > MOST_LETTERS:
        print(f"{arguments[0]} is no note of spikeboard compare --format md", file=sys.stderr)
        return 2
    repository = environment["GITHUB_REPOSITORY"]
    numbers = pull_requests(repository, *(environment[name] for name in ("HEAD_OWNER", "HEAD_BRANCH", "HEAD_SHA")))
    if not numbers:
        print("no open pull request ends at the commit that was measured; nothing is said")
    for number in numbers:
        put(repository, number, text)
    return 0


def pull_requests(repository: str, owner: str, branch: str, commit: str) -> list[int]:
    """Return the open pull requests from a branch of `owner` that end at `commit`."""
    found = ask(f"repos/{repository}/pulls", "--method", "GET", "-f", f"head={owner}:{branch}", "-f", "state=open")
    return [int(one["number"]) for one in found if one["head"]["sha"] == commit]


def put(repository: str, number: int, text: str) -> None:
    """Replace the note under a pull request, or write the first."""
    comments = ask(f"repos/{repository}/issues/{number}/comments?per_page=100", "--paginate", "--slurp")
    ours = [
        one
        for page in comments
        for one in page
        if one["user"]["login"] == AUTHOR and one["body"].startswith(MARK)
    ]  # fmt: skip
    body = json.dumps({"body": text})
    if ours:
        ask(f"repos/{repository}/issues/comments/{int(ours[0]['id'])}", "--method", "PATCH", "--input", "-", body=body)
    else:
        ask(f"repos/{repository}/issues/{number}/comments", "--method", "POST", "--input", "-", body=body)
    print(f"pull request {number}: note {'replaced' if ours else 'written'}")


def ask(path: str, *options: str, body: str | None = None) -> Any:
    """Ask GitHub, and return its answer."""
    said = subprocess.run(["gh", "api", path, *options], input=body, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(said.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
