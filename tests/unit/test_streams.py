"""Whatever is printed can be, on terminals of few letters and behind pipes that nobody reads."""

from __future__ import annotations

import io
import sys

import pytest

from harness.streams import Lasting, prepared_streams


def printed(text: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return what a terminal of `encoding` gets when `text` is printed."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    with prepared_streams():
        print(text, end="")
    return raw.getvalue()


def test_ascii_gets_what_a_reader_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed("3.2 ± 0.1 µs, 2× — “é” … → ≤ 5 实验室甲 \udce5", "ascii", monkeypatch)
    assert said == b'3.2 +/- 0.1 us, 2x - "e" ... -> <= 5 ???? ?'


def test_what_an_encoding_has_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed("± 实 µ é \udce5", "gbk", monkeypatch).decode("gbk") == "± 实 u é ?"


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-8"])
def test_nothing_is_lost_where_nothing_need_be(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed("± µ é ×", encoding, monkeypatch).decode(encoding) == "± µ é ×"


class Closed(io.StringIO):
    """A pipe whose other end is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_writing_in_vain_is_no_error() -> None:
    stream = Lasting(Closed())
    assert stream.write("three") == 5
    stream.flush()
    assert stream.isatty() is False  # type: ignore[operator]  # whatever else is asked is the stream's


def test_without_streams_there_is_nothing_to_prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with prepared_streams():
        print("nobody hears this")
