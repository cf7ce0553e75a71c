"""A submission as it lies on disk: everything that is no plain file, or not the one that is listed, is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from submitted import checked, failing, line, resealed, some, submission

from harness.submissions import folder as limits
from harness.submissions.folder import content_digest, read_folder
from harness.submissions.manifest import MANIFEST, Manifest
from harness.submissions.verdict import Verdict

RECORDS = some()[:3]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return submission(tmp_path / "made", RECORDS)


def test_a_whole_folder_is_what_its_manifest_lists(made: Path) -> None:
    contents = read_folder(made)
    assert contents.problems == ()
    assert contents.differences() == []
    assert isinstance(contents.manifest, Manifest)
    assert contents.manifest.records == len(RECORDS)
    assert content_digest(made) == contents.digest


def link_to_file(made: Path) -> None:
    (made / "records" / "passwd.json").symlink_to("/etc/passwd")


def link_to_folder(made: Path) -> None:
    (made / "records" / "all").symlink_to("/", target_is_directory=True)


def link_as_manifest(made: Path) -> None:
    (made / MANIFEST).rename(made.parent / "elsewhere")
    (made / MANIFEST).symlink_to(made.parent / "elsewhere")


def pipe(made: Path) -> None:
    os.mkfifo(made / "records" / "pipe.json")


def pipe_as_manifest(made: Path) -> None:
    (made / MANIFEST).unlink()
    os.mkfifo(made / MANIFEST)


def huge(made: Path) -> None:
    with (made / "records" / "huge.jsonl").open("wb") as file:
        file.truncate(20 << 30)


def huge_manifest(made: Path) -> None:
    with (made / MANIFEST).open("ab") as file:
        file.truncate(20 << 30)


def hidden(made: Path) -> None:
    (made / "records" / ".hidden.json").write_text("{}")


def acting_name(made: Path) -> None:
    (made / "records" / "a\x1b[2J\u202e.json").write_text("{}")


def option_as_name(made: Path) -> None:
    (made / "records" / "-rf").write_text("")


def elsewhere(made: Path) -> None:
    (made / "harness").mkdir()
    (made / "harness" / "x.py").write_text("")


def deep(made: Path) -> None:
    folder = made.joinpath("records", *("d" * 20))
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{}")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (link_to_file, "records/passwd.json is a link"),
        (link_to_folder, "records/all is a link"),
        (link_as_manifest, "manifest.json is a link"),
        (pipe, "records/pipe.json is no plain file (a pipe"),
        (pipe_as_manifest, "manifest.json is no plain file (a pipe"),
        (huge, "records/huge.jsonl cannot be read: it has"),
        (huge_manifest, "it has 21,474,836,480 bytes"),
        (hidden, "records/.hidden.json is not a name"),
        (acting_name, "records/a\\u001b[2J\\u202e.json is not a name"),
        (option_as_name, "records/-rf is not a name"),
        (elsewhere, "harness has no place in a submission"),
        (deep, "lies too deep"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_no_plain_file_is_named_and_not_opened(made: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(made)
    report = checked(made)
    found = line(report, "files")
    assert found.verdict is Verdict.FAILS
    assert any(said in cause for cause in found.causes), found.causes
    assert content_digest(made) is None


def test_too_many_and_too_much_is_not_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_FILES", 3)
    assert any("more than 3 files" in one for one in read_folder(made).problems)
    monkeypatch.setattr(limits, "MOST_FILES", 2000)
    monkeypatch.setattr(limits, "LARGEST_FOLDER", 2000)
    assert any("all files together" in one for one in read_folder(made).problems)


def test_every_difference_from_the_manifest_is_named(made: Path) -> None:
    packed = next((made / "records").rglob("*.jsonl"))
    packed.write_bytes(packed.read_bytes().replace(b'"seed":0', b'"seed":1', 1))
    (made / "README.md").unlink()
    (made / "records" / "more.jsonl").write_text("")
    causes = line(checked(made), "digests").causes
    assert [cause.split(" is ", 1)[1] for cause in causes] == [
        "listed, and not there",
        "there, and not listed",
        "not the file that is listed (other bytes)",
    ]


def test_a_forged_digest_is_no_help(made: Path) -> None:
    manifest = json.loads((made / MANIFEST).read_text())
    name = next(name for name in manifest["files"] if name.startswith("records/"))
    manifest["files"][name]["sha256"] = "0" * 64
    (made / MANIFEST).write_text(json.dumps(manifest))
    assert line(checked(made), "digests").causes == (f"{name} is not the file that is listed (other bytes)",)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "records/../../x", "records//x.json", ".", ""])
def test_a_path_that_leads_out_is_named(made: Path, name: str) -> None:
    manifest = json.loads((made / MANIFEST).read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (made / MANIFEST).write_text(json.dumps(manifest))
    assert any("no plain relative path" in cause for cause in line(checked(made), "digests").causes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"records": 1, "records": 2, "files": {}}', "has the key 'records' twice in one object"),
        ('{"records": 1, "files": {}, "verified": true}', "verified: Extra inputs are not permitted"),
        ('{"records": NaN, "files": {}}', "holds NaN"),
        ('{"records": "1", "files": {}}', "records: Input should be a valid integer"),
        ('{"schema_version": 2, "records": 1, "files": {}}', "has schema version 2"),
        ("[" * 100_000, "nested too deeply"),
        ("no JSON", "Expecting value"),
        ("", "Expecting value"),
    ],
)
def test_a_manifest_that_is_none_is_named(made: Path, text: str, said: str) -> None:
    (made / MANIFEST).write_text(text)
    report = checked(made)
    assert said in line(report, "manifest").text
    assert line(report, "digests").verdict is Verdict.UNTOLD
    assert report.failed


def test_a_manifest_that_announces_other_records_is_named(made: Path) -> None:
    resealed(made, records=7)
    assert failing(checked(made)) == {"manifest"}


def test_no_folder_and_a_link_to_one_are_errors(made: Path, tmp_path: Path) -> None:
    from harness.errors import UserError

    (tmp_path / "link").symlink_to(made, target_is_directory=True)
    for path, said in (
        (tmp_path / "link", "is a link"),
        (tmp_path / "none", "No such file"),
        (made / MANIFEST, "no folder"),
    ):
        with pytest.raises(UserError, match=said):
            checked(path)
