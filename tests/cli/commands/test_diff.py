"""A diff shows texts by line and, by colour, the words that changed: a screen for one word."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import cid_of
from syncd.blobs.words import blob_words
from syncd.cli import cli
from syncd.cli.commands.diff import RecordDiff, _say_difference, difference_of, readable
from syncd.cli.screen.changes import LONG
from syncd.cli.screen.output import say_changes
from syncd.errors import BadJson
from syncd.forms import USUAL
from syncd.forms.by_line import by_line, from_lines, line_shown
from syncd.merge import marked, merge
from syncd.model import RecordPath, Step, Verdict
from tests.chance import times
from tests.rigs.lured import NOTE, Lured, home, mirror

__all__ = ("home", "mirror")

COLLECTION = "com.whtwnd.blog.entry"
FORM = USUAL.of(COLLECTION)
PARAGRAPH = "The quick brown fox jumps over the lazy dog, again and again. " * 12
BODY = f"# A title\n\n{PARAGRAPH}\n\nAnother paragraph.\n\n{PARAGRAPH}\n"


def shown(before: str, after: str, *, is_painted: bool = False, columns: int = 0) -> list[str]:
    texts = [
        readable(FORM.format({"$type": COLLECTION, "content": body}), FORM, COLLECTION, blob_words)
        for body in (before, after)
    ]
    found = difference_of(texts[0], texts[1], f"{COLLECTION}/one")
    return [line.shown(is_painted=is_painted, columns=columns) for line in found]


def test_what_went_is_red_and_what_came_is_green() -> None:
    lines = shown("one\ntwo", "one\nthree", is_painted=True)
    assert [click.unstyle(line) for line in lines] == shown("one\ntwo", "one\nthree")
    assert lines[0].startswith("\x1b[1m---")
    assert any(line.startswith("\x1b[31m-") and "two" in line for line in lines)
    assert any(line.startswith("\x1b[32m+") and "three" in line for line in lines)
    assert " one" in lines


@pytest.mark.parametrize("body", [BODY, PARAGRAPH * 5], ids=["of lines", "in one line"])
def test_one_word_in_a_long_text_is_a_few_short_lines_and_the_word_is_marked(body: str) -> None:
    at = body.index("brown", len(body) // 2)
    after = f"{body[:at]}red{body[at + 5 :]}"
    lines = shown(body, after)
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 2 * LONG
    assert [line[0] for line in lines].count("-") == 2
    painted = shown(body, after, is_painted=True)
    marked_words = [line.partition("\x1b[7m")[2].partition("\x1b")[0] for line in painted]
    assert [word for word in marked_words if word] == ["brown", "red"]
    assert any("The quick red fox" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "old", "new", "words"),
    [
        ("吾輩は猫である。名前はまだ無い", "猫", "犬", ["猫", "犬"]),
        ("吾輩は猫であるがばなし", "ば", "は\u3099", ["ば", "は\u3099"]),
        ("ภาษาไทยที่นี่ดีมาก", "ดี", "ดู", ["ดี", "ดู"]),
        ("un cafe\u0301 noir ", "cafe\u0301", "cafe\u0300", ["cafe\u0301", "cafe\u0300"]),
        ("a 👩\u200d👧 b ", "👩\u200d👧", "👩\u200d👦", ["👩\u200d👧", "👩\u200d👦"]),
        ("a 👍🏽 b ", "👍🏽", "👍🏿", ["👍🏽", "👍🏿"]),
    ],
)
def test_what_is_marked_and_where_a_line_is_cut_is_between_whole_characters(
    text: str, old: str, new: str, words: list[str]
) -> None:
    # From many places, so that a cut would fall within each of the characters.
    for lead in range(25):
        before = "x" * lead + text * 100
        at = before.index(old, len(before) // 2)
        after = before[:at] + new + before[at + len(old) :]
        lines = shown(before, after)
        assert max(map(len, lines)) <= 2 * LONG
        assert not re.search("[ … ][\u0300-\u036f\u0e31-\u0e4e\u3099\u200d🏻-🏿]", "".join(lines))
        assert "\u200d …" not in "".join(lines)
        painted = shown(before, after, is_painted=True)
        marked_words = [line.partition("\x1b[7m")[2].partition("\x1b")[0] for line in painted]
        assert [word for word in marked_words if word] == words


TEXTS = {
    "Latin": ("The quick brown fox jumps over the lazy dog. ", "brown", "red"),
    "wide": ("吾輩は猫である。名前はまだ無い。", "猫", "犬"),
    "joined pictures": (
        "a 👩\u200d👧\u200d👦 b ❤\ufe0f c ",
        "👩\u200d👧\u200d👦",
        "👩\u200d👧\u200d👧",
    ),
    "accents": ("un cafe\u0301 tre\u0300s noir, e\u0301te\u0301. ", "noir", "cre\u0300me"),
    "right to left": ("שלום עולם وهذا نص طويل. ", "עולם", "לכם"),
    "controls of direction": ("\u202eabc\u202c def. ", "def", "ghi"),
    "tabs": ("a\tb\tc word ", "word", "term"),
    "a word without an end": ("xyz", "y", "Q"),
}


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("in_lines", [False, True])
@pytest.mark.parametrize("kind", TEXTS)
def test_a_word_in_a_long_text_is_a_few_lines_at_any_width(
    kind: str, in_lines: bool, columns: int
) -> None:
    text, old, new = TEXTS[kind]
    body = text * (10_000 // len(text))
    body = f"{body}\n\nA line.\n\n{body}\n\n{body}" if in_lines else body
    at = body.index(old, len(body) // 2)
    after = body[:at] + new + body[at + len(old) :]
    lines = shown(body, after, columns=columns)[2:]
    assert len(lines) <= 9
    assert max(map(cells, lines)) <= columns
    painted = shown(body, after, is_painted=True, columns=columns)[2:]
    assert [click.unstyle(line) for line in painted] == lines
    assert re.findall("\x1b\\[[0-9;]*7m(.*?)\x1b", "".join(painted)) == [old, new]
    # The words around it are shown as far as there is room.
    (went, came) = (line for line in lines if line[0] in "-+")
    assert old in went
    assert new in came
    assert min(cells(went), cells(came)) >= min(columns, 100) // 2


def cells(line: str) -> int:
    """How many columns a terminal needs, by another count than that of syncd."""
    return cell_len(line.expandtabs(8))


class Screen(io.StringIO):
    """A terminal, as far as Python knows."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_terminal_gets_what_fits_it_and_colour_unless_it_wants_none(
    monkeypatch: pytest.MonkeyPatch, columns: int, no_colour: str
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    for name, value in (("COLUMNS", f"{columns}"), ("NO_COLOR", no_colour), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    say_changes(difference_of(BODY, BODY.replace("Another", "One more"), "a/b"))
    lines = screen.getvalue().splitlines()
    assert max(len(click.unstyle(line)) for line in lines) <= columns
    assert ("\x1b" in screen.getvalue()) == (not no_colour)
    assert "One more paragraph" in click.unstyle(screen.getvalue())


@pytest.mark.parametrize("ending", ["json", "md"])
def test_git_is_shown_a_long_line_by_sentence_and_no_control_character(
    tmp_path: Path, ending: str
) -> None:
    body = "One sentence of many.  Is it? Ja! 吾輩は猫である。" * 40 + "\x1b]0;x\x07\x9b31m\u202e"
    file = tmp_path / f"one.{ending}"
    page = f"---\ntitle: t\n---\n\n{body}\n"
    file.write_text(page if ending == "md" else json.dumps({"content": body}), encoding="utf-8")
    done = CliRunner().invoke(cli, ["git", "show", str(file)])
    assert done.exit_code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.output)
    assert max(map(len, done.output.splitlines())) <= LONG
    assert "\n↳  Is it?\n↳ Ja!\n↳ 吾輩は猫である。\n" in done.output


def test_lines_that_have_nothing_in_common_are_shown_whole_and_unmarked() -> None:
    lines = shown("a\n" + "x" * 400, "a\n" + "y z " * 100, is_painted=True)
    assert "\x1b[7m" not in "".join(lines)
    assert any("x" * 400 in line for line in lines)


def test_a_last_line_break_and_an_escape_sequence_are_seen() -> None:
    assert [line[0] for line in shown("a\nb", "a\nb\n")].count("+") == 2
    assert not any("\x1b" in line for line in shown("a\nb", "a\n\x1b[2J"))
    assert shown("a\nb", "a\nb") == []


# --- by line, and back --------------------------------------------------------------------------

TEXT = st.text(st.sampled_from('ab"\\\n\r\t,é<=>` \x1b\u2028😀'), max_size=40)
RECORDS = st.dictionaries(
    st.sampled_from(["a", 'b"c', "text", "\n"]),
    TEXT | st.lists(TEXT, max_size=3) | st.dictionaries(st.just("in"), TEXT),
    max_size=4,
)


@given(record=RECORDS)
@settings(max_examples=times(2_000))
def test_a_text_by_line_reads_back_as_it_was(record: dict[str, object]) -> None:
    text = json.dumps(record, ensure_ascii=False, indent=2).encode()
    spread = by_line(FORM, text)
    assert json.loads(from_lines(FORM, spread, text)) == record
    as_saved_by_others = spread.replace(b"\n", b"\r\n")
    assert json.loads(from_lines(FORM, as_saved_by_others, text)) == record


def test_lines_of_quotes_and_of_marks_in_a_text_are_no_end_and_no_mark() -> None:
    body = 'a\n"""\n"""",\n=======\n<<<<<<< folder\n>>>>>>> repo\n'
    text = FORM.format({"$type": COLLECTION, "content": body})
    assert FORM.parse(from_lines(FORM, by_line(FORM, text), text), COLLECTION)["content"] == body


def collided(mine: str, theirs: str) -> bytes:
    base, local, remote = ({"$type": COLLECTION, "content": body} for body in ("", mine, theirs))
    return marked(merge(base, local, remote, text=False), FORM)


def test_a_collision_of_two_texts_has_marks_around_the_lines_that_differ_alone() -> None:
    before = collided(f"{BODY}mine\n", f"{BODY}theirs\n")
    lines = by_line(FORM, before).decode().split("\n")
    assert lines.count(PARAGRAPH) == 2
    at = lines.index("<<<<<<< folder")
    assert lines[at + 1 : at + 5] == ["mine", "=======", "theirs", ">>>>>>> repo"]
    with pytest.raises(BadJson, match="mark") as error:
        from_lines(FORM, "\n".join(lines).encode(), before)
    assert error.value.line == at + 1
    kept = [line for line in lines if line not in {*lines[at : at + 3], ">>>>>>> repo"}]
    text = from_lines(FORM, "\n".join(kept).encode(), before)
    assert FORM.parse(text, COLLECTION)["content"] == f"{BODY}theirs\n"


@pytest.mark.parametrize("left", ["=======", "<<<<<<< folder", ">>>>>>> repo"])
def test_each_mark_that_is_left_is_named_with_its_line(left: str) -> None:
    before = collided("a\nmine", "a\ntheirs")
    lines = [
        line
        for line in by_line(FORM, before).decode().split("\n")
        if line == left or not line.startswith(("<<<", "===", ">>>"))
    ]
    with pytest.raises(BadJson) as error:
        from_lines(FORM, "\n".join(lines).encode(), before)
    assert error.value.line == lines.index(left) + 1


def test_marks_are_longer_than_what_looks_like_them_in_a_text() -> None:
    before = collided("Title\n=======\nmine", "Title\n=======\ntheirs")
    lines = by_line(FORM, before).decode().split("\n")
    assert lines.count("=======") == 1
    assert "========" in lines


def test_a_text_without_an_end_and_a_fault_below_a_text_name_their_lines() -> None:
    text = FORM.format({"$type": COLLECTION, "content": "a\nb\nc", "subtitles": "t"})
    spread = by_line(FORM, text)
    lines = spread.decode().split("\n")
    begin = next(at for at, line in enumerate(lines, 1) if line.endswith('"""'))
    with pytest.raises(BadJson) as error:
        from_lines(FORM, spread.replace(b'\n""",', b"\n"), text)
    assert error.value.line == begin
    bad = spread.replace(b'"t"', b"t")
    with pytest.raises(BadJson) as error:
        FORM.parse(from_lines(FORM, bad, text), COLLECTION)
    assert error.value.line is not None
    shown_at = line_shown(FORM, bad, error.value.line)
    assert bad.decode().split("\n")[shown_at - 1].endswith("t")
    assert cid_of(FORM.parse(from_lines(FORM, spread, text), COLLECTION))


# --- what is only a problem ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["first", "new"], ids=["a record", "new"])
def test_a_named_file_that_is_no_record_now_is_shown_with_its_problem(
    mirror: Lured, name: str
) -> None:
    file = mirror.root / NOTE / f"{name}.json"
    file.write_bytes('{"text": "é"}'.encode("utf-16"))
    arguments = ("-C", str(mirror.root), "diff", f"{NOTE}/{name}")
    found = json.loads(mirror.run(*arguments, "--json").stdout)
    assert [item["path"] for item in found["problems"]] == [f"{NOTE}/{name}"]
    assert (found["problems"][0]["line"], found["differences"]) == (1, [])
    shown = mirror.run(*arguments)
    assert shown.exit_code == 0
    assert f"{NOTE}/{name}" in shown.stdout
    assert mirror.run("-C", str(mirror.root), "diff").stdout == ""


def test_a_blob_is_a_line_with_its_file_type_and_size() -> None:
    old, new = (BlobRef(cid_of_blob(word), "image/png", 12_345) for word in (b"cat", b"dog"))
    named = '{"$type": "blob", "$file": "pictures/hill.jpg"}'
    texts = [FORM.format({"$type": COLLECTION, "picture": ref.value}) for ref in (old, new)]
    drawn = b'{"$type": "com.whtwnd.blog.entry", "picture": ' + named.encode() + b"}"
    was, now, then = (readable(t, FORM, COLLECTION, blob_words) for t in (*texts, drawn))
    changed = [line for line in difference_of(was, now, "one") if line.sign in "-+"]
    assert [line.shown(is_painted=False) for line in changed][2:] == [
        f'-  "picture": "blobs/{old.cid}.png (image/png, 12.3 kB)"',
        f'+  "picture": "blobs/{new.cid}.png (image/png, 12.3 kB)"',
    ]
    assert '"picture": "pictures/hill.jpg, to be uploaded"' in then


def test_records_that_are_alike_get_one_line_with_the_reason_and_each_has_its_diff(
    mirror: Lured,
) -> None:
    names = [f"n{number}" for number in range(4)]
    for name in names:
        (mirror.root / NOTE / f"{name}.json").write_text(json.dumps({"$type": NOTE, "v": name}))
    at = ("-C", str(mirror.root))
    assert mirror.run(*at, "sync").exit_code == 0
    for name in names:
        (mirror.root / NOTE / f"{name}.json").write_text(json.dumps({"$type": NOTE, "v": 0}))
    (mirror.root / NOTE / "another.json").write_text(json.dumps({"$type": NOTE, "v": 0}))
    found = json.loads(mirror.run(*at, "diff", "--json").stdout)["differences"]
    lines = mirror.run(*at, "diff").stdout.splitlines()
    for reason in {item["reason"] for item in found}:
        assert len([line for line in lines if reason in line]) == 1
    assert len(found) == 5
    for item in found:
        assert any(line.startswith("+++") and item["path"] in line for line in lines)


def test_reasons_that_alternate_by_path_are_each_said_once(mirror: Lured) -> None:
    for at in range(6):
        (mirror.root / NOTE / f"n{at}.json").write_text(json.dumps({"$type": NOTE, "v": 0}))
    assert mirror.run("-C", str(mirror.root), "sync").exit_code == 0
    for at in range(6):
        (mirror.root / NOTE / f"n{at}.json").write_text(json.dumps({"$type": NOTE, "v": 1}))
        (mirror.root / NOTE / f"n{at}x.json").write_text(json.dumps({"$type": NOTE, "v": 1}))
    done = mirror.run("-C", str(mirror.root), "diff")
    assert len([line for line in done.stdout.splitlines() if line.startswith("push")]) == 2
    assert done.stdout.count("+++ folder/") == 12


@pytest.mark.parametrize("unshown", ["", "its block is not the one that was named"])
def test_a_record_without_a_text_is_named_under_the_reason(
    capsys: pytest.CaptureFixture[str], unshown: str
) -> None:
    cid = cid_of({"$type": NOTE})
    step = Step(RecordPath(f"{NOTE}/one"), Verdict.PULL, None, None, cid, "created in the repo")
    _say_difference(RecordDiff(step, None, None, {}, unshown=unshown))
    assert step.path in capsys.readouterr().out
