"""Text of strangers: printed it only shows, in a path it only names, and different names stay different."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from harness.report.links import slug as site_slug
from harness.terminal import Console, say
from harness.text import FILE_NAME, inside, printable, slug

ANY_TEXT = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["../../X", "/abs/X", "a\0b", ".", "..", "", "CON", "nul.txt", "x" * 5000, "x-0123456789ab", "LIF", "lif", "\ud800"]
)
ACTING = [
    "\x1b[31mred",
    "\x1b]52;c;aGk=\x07",
    "\x9b2J",
    "\u202eevil",
    "\u2066a\u2069",
    "a\rb",
    "\x7f",
    "\ud800",
    "\u2028",
]


@pytest.mark.parametrize("text", ACTING)
def test_what_would_act_is_written_out(text: str) -> None:
    shown = printable(text)
    assert all(unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in shown)
    assert "\\u" in shown
    shown.encode("utf-8")


def test_what_only_shows_stays() -> None:
    for text in ("LIF, τ = 2 µs ± 3 %", "实验室甲", "машина", "می\u200cخواهم", "👩\u200d🔬", "two\nlines\tand a tab"):
        assert printable(text) == text
    assert printable("two\nlines", lines=False) == "two\\u000alines"


@given(ANY_TEXT.filter(lambda text: "\ud800" not in text))
def test_json_stays_the_same_json(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return
    assert json.loads(printable(json.dumps({"a": text}, ensure_ascii=False))) == {"a": text}


@given(ANY_TEXT)
def test_a_slug_is_one_plain_component_of_a_path(text: str) -> None:
    for made in (slug(text), site_slug(text)):
        assert FILE_NAME.fullmatch(made)
        assert len(made) <= 140
        assert inside(Path("/root"), made).parent == Path("/root")
    assert slug(slug(text)) != slug(text) or slug(text) == text, "no text can pose as the slug of another"


@given(ANY_TEXT, ANY_TEXT)
def test_different_texts_have_different_slugs(one: str, other: str) -> None:
    for made in (slug, site_slug):
        assert (made(one) == made(other)) == (one == other)
        assert (made(one).lower() == made(other).lower()) == (one == other), "on a file system that ignores case too"


@pytest.mark.parametrize(
    "name", ["intel-xeon-2c", "lif+bptt+mlp+eager+s0", "-", "digits", "nmnist-1100", "9783fe2dddff"]
)
def test_the_names_of_published_files_stay(name: str) -> None:
    assert slug(name) == name


@pytest.mark.parametrize("parts", [("..", "x"), ("/x",), ("a", "../../x"), ("a\0b",), ("a", "..", "..", "rootx")])
def test_a_path_that_leaves_its_root_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="does not lie in"):
        inside(Path("/some/root"), *parts)
    with pytest.raises(ValueError, match="does not lie in"):
        inside(Path("root"), *parts)


@pytest.mark.parametrize("text", [*ACTING, "[bold]x[/bold]", "[/]", "[link=javascript:x]y[/link]", ":smile:", "[red"])
def test_a_console_shows_text_as_text(text: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system="truecolor")
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    table.add_row(Text(text, "red"))
    for item in (text, Text(text), table):
        console.print(item)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count(printable(text)) >= 4  # Rich takes a few controls out of a Text itself
    for sequence in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\u2066", "\r", "\x7f"):
        assert sequence not in said


@pytest.mark.parametrize("text", ACTING)
def test_what_is_said_only_shows(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text, fg="red")
    say(text, err=True)
    said = capsys.readouterr()
    assert printable(text) in said.out
    assert said.err == f"{printable(text)}\n"
    assert "\x1b]" not in said.out
