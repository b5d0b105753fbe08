"""Records that JSON cannot say exactly: pulled, they are silent; edited, they are refused."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.cycle.verify import verify_mirror
from syncd.errors import SyncdError
from syncd.mirror.conflicts import open_conflicts, remote_file, take_side
from syncd.mirror.merging import settle_by_merge
from syncd.model import Choice, RecordPath, Report, Verdict
from tests.atproto.inexact import (
    COLLECTION,
    DEEP,
    ENCODED,
    INEXACT,
    REPAIRED,
    UNTELLABLE,
    block,
)
from tests.cycle.observe.hostile import Repo, ServedPds, account_of, rev_of, serving
from tests.rigs.device import Device

NOTE = RecordPath(f"{COLLECTION}/one")
EACH = pytest.mark.parametrize("name", INEXACT)
READABLE = pytest.mark.parametrize("name", [name for name in INEXACT if name not in DEEP])


def mirror_of(record: bytes, tmp_path: Path) -> tuple[Device, ServedPds]:
    """A device, and a PDS that holds one record and refuses every write."""
    pds = serving(Repo({NOTE: record}))
    return Device.make(tmp_path / "laptop", account_of(), pds), pds


def serve(pds: ServedPds, record: bytes) -> None:
    """Another client changes the record."""
    pds.repo = Repo({NOTE: record}, rev_of(2))
    pds.serve = lambda _: pds.repo.car()


async def silent(device: Device, record: bytes) -> Report:
    """A sync that does nothing, and leaves file and repo agreed."""
    before = device.files()
    report = await device.sync()
    assert (report.pushed, report.pulled, report.merged) == ((), (), ())
    assert report.is_settled, (report.problems, report.conflicts)
    assert not report.is_unfinished
    assert device.files() == before
    assert device.base() == {NOTE: cid_of_block(record)}
    return report


def reformatted(text: bytes) -> bytes:
    """The same JSON in another form: keys the other way round, tabs, CRLF, ASCII."""
    pairs = json.loads(text, object_pairs_hook=lambda found: dict(reversed(found)))
    return json.dumps(pairs, indent="\t").replace("\n", "\r\n").encode()


def edited(text: bytes) -> bytes:
    return text.replace(b"hello", b"goodbye")


@EACH
async def test_a_record_that_json_cannot_say_is_pulled_and_then_silent(
    name: str, tmp_path: Path
) -> None:
    laptop, _ = mirror_of(INEXACT[name], tmp_path)
    assert (await laptop.sync()).pulled == (NOTE,)
    await silent(laptop, INEXACT[name])
    later = time.time() + 10
    os.utime(laptop.file(NOTE), (later, later))
    assert (await silent(laptop, INEXACT[name])).requests == 1
    mirror = laptop.mirror
    verified = verify_mirror(mirror.workspace, mirror.account)
    assert (verified.records, verified.agree, verified.findings) == (1, 1, ())


@EACH
async def test_without_its_state_file_it_is_adopted(name: str, tmp_path: Path) -> None:
    laptop, pds = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    fresh = Device.make(tmp_path / "fresh", account_of(), pds)
    file = fresh.file(NOTE)
    file.parent.mkdir()
    file.write_bytes(laptop.file(NOTE).read_bytes())
    assert (await fresh.sync()).adopted == (NOTE,)
    await silent(fresh, INEXACT[name])


@READABLE
async def test_a_change_of_form_causes_no_request_and_no_rewrite(name: str, tmp_path: Path) -> None:
    laptop, _ = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    other = reformatted(laptop.file(NOTE).read_bytes())
    laptop.file(NOTE).write_bytes(other)
    assert (await silent(laptop, INEXACT[name])).requests == 1
    assert laptop.file(NOTE).read_bytes() == other


@pytest.mark.parametrize("name", [*UNTELLABLE, *DEEP])
async def test_an_edit_beside_it_is_refused_until_it_is_undone(name: str, tmp_path: Path) -> None:
    laptop, _ = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    before = laptop.file(NOTE).read_bytes()
    place = UNTELLABLE[name][1] if name in UNTELLABLE else "nested more than 256 deep"
    laptop.file(NOTE).write_bytes(edited(before))
    for _ in range(2):
        report = await laptop.sync()
        (problem,) = report.problems
        assert (problem.path, report.pushed, report.conflicts) == (NOTE, (), ())
        assert place in problem.reason
        assert laptop.file(NOTE).read_bytes() == edited(before)
    laptop.file(NOTE).write_bytes(before)
    await silent(laptop, INEXACT[name])


@pytest.mark.parametrize("name", ENCODED)
async def test_an_edit_is_pushed_where_only_the_encoding_was_odd(name: str, tmp_path: Path) -> None:
    laptop, _ = mirror_of(ENCODED[name], tmp_path)
    await laptop.sync()
    laptop.file(NOTE).write_bytes(edited(laptop.file(NOTE).read_bytes()))
    (step,) = (await laptop.mirror.preview()).plan.steps
    assert step.verdict is Verdict.PUSH


@pytest.mark.parametrize("name", [*UNTELLABLE, *DEEP])
async def test_an_edit_that_repairs_it_is_pushed_over_what_it_repairs(
    name: str, tmp_path: Path
) -> None:
    laptop, _ = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    said = {"text": "hello"} if name in DEEP else json.loads(laptop.file(NOTE).read_bytes())
    laptop.save(NOTE, **{**said, "text": "goodbye", **REPAIRED.get(name, {})})
    report = await laptop.mirror.preview()
    (step,) = report.plan.steps
    assert (step.verdict, step.remote) == (Verdict.PUSH, cid_of_block(INEXACT[name]))
    assert not report.problems


async def test_a_record_of_another_type_waits_until_it_is_given_the_right_one(
    tmp_path: Path,
) -> None:
    laptop, _ = mirror_of(UNTELLABLE["another type"][0], tmp_path)
    await laptop.sync()
    laptop.file(NOTE).write_bytes(edited(laptop.file(NOTE).read_bytes()))
    (problem,) = (await laptop.sync()).problems
    assert (problem.line, COLLECTION in problem.hint) == (2, True)
    laptop.save(NOTE, text="goodbye")
    assert [step.verdict for step in (await laptop.mirror.preview()).plan.steps] == [Verdict.PUSH]


@EACH
async def test_its_file_can_be_deleted(name: str, tmp_path: Path) -> None:
    laptop, _ = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    laptop.delete(NOTE)
    (step,) = (await laptop.mirror.preview()).plan.steps
    assert (step.verdict, step.local) == (Verdict.PUSH, None)


@pytest.mark.parametrize("name", [*UNTELLABLE, *DEEP])
async def test_a_renamed_file_costs_no_record_that_could_not_be_written_again(
    name: str, tmp_path: Path
) -> None:
    """Deleted here and created there it would be another record, or none."""
    laptop, _ = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    old, new = laptop.file(NOTE), laptop.file(f"{COLLECTION}/two")
    old.rename(new)
    for _ in range(3):
        report = await laptop.sync()
        assert [problem.path for problem in report.problems] == [NOTE, f"{COLLECTION}/two"]
        assert (report.pushed, report.pulled) == ((), ())
        assert all(f"name the file {NOTE} again" in problem.hint for problem in report.problems)
    new.rename(old)
    await silent(laptop, INEXACT[name])
    old.rename(new)
    await laptop.sync()
    new.unlink()
    (step,) = (await laptop.mirror.preview()).plan.with_verdict(Verdict.PUSH)
    assert (step.path, step.local) == (NOTE, None)


@pytest.mark.parametrize("name", ENCODED)
async def test_a_renamed_file_moves_its_record_where_only_the_encoding_was_odd(
    name: str, tmp_path: Path
) -> None:
    laptop, _ = mirror_of(ENCODED[name], tmp_path)
    await laptop.sync()
    laptop.file(NOTE).rename(laptop.file(f"{COLLECTION}/two"))
    steps = (await laptop.mirror.preview()).plan.steps
    assert [step.verdict for step in steps] == [Verdict.PUSH, Verdict.PUSH]


@READABLE
async def test_a_file_in_another_form_follows_the_repo(name: str, tmp_path: Path) -> None:
    laptop, pds = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    laptop.file(NOTE).write_bytes(reformatted(laptop.file(NOTE).read_bytes()))
    new = block(text="new", f=0.5)
    serve(pds, new)
    assert (await laptop.sync()).pulled == (NOTE,)
    assert laptop.read(NOTE)["text"] == "new"
    await silent(laptop, new)


@pytest.mark.parametrize("name", UNTELLABLE)
async def test_a_refused_edit_is_never_overwritten_by_the_repo(name: str, tmp_path: Path) -> None:
    laptop, pds = mirror_of(INEXACT[name], tmp_path)
    await laptop.sync()
    mine = edited(laptop.file(NOTE).read_bytes())
    laptop.file(NOTE).write_bytes(mine)
    serve(pds, block(text="new", f=0.5))
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert laptop.file(NOTE).read_bytes() == mine
    assert [kept["text"] for kept in laptop.kept_conflicts()] == ["new"]


UNSHOWN = block(text="new").replace(b"new", b"n\xff\xfe")


async def test_a_new_version_that_no_file_can_show_leaves_the_old_file_and_says_so(
    tmp_path: Path,
) -> None:
    laptop, pds = mirror_of(block(n=1), tmp_path)
    await laptop.sync()
    before = laptop.files()
    serve(pds, UNSHOWN)
    for _ in range(2):
        report = await laptop.sync()
        (problem,) = report.problems
        assert (problem.path, report.pulled, report.conflicts) == (NOTE, (), ())
        assert "its file is outdated" in problem.reason
        assert "--local" in problem.hint
        assert laptop.files() == before
    assert laptop.mirror.history.events() == []
    workspace = laptop.mirror.workspace
    found = verify_mirror(workspace, laptop.mirror.account)
    assert (found.agree, [item.path for item in found.waiting]) == (0, [NOTE])
    laptop.file(NOTE).write_bytes(edited(laptop.file(NOTE).read_bytes()))
    (conflict,) = (await laptop.sync()).conflicts
    (conflict,) = open_conflicts(workspace)
    assert remote_file(workspace, conflict) is None
    assert "utf-8" in conflict.unshown
    with pytest.raises(SyncdError) as refused:
        take_side(workspace, [conflict], Choice.REMOTE)
    for error in (refused.value, *settle_by_merge(workspace, [conflict])[1]):
        assert "utf-8" in error.message
        assert f"resolve {NOTE} --local" in error.hint
    assert workspace.state.decisions() == {}
    take_side(workspace, [conflict], Choice.LOCAL)
    (step,) = (await laptop.mirror.preview()).plan.steps
    assert (step.verdict, step.remote) == (Verdict.PUSH, cid_of_block(UNSHOWN))


async def test_a_record_that_no_file_can_show_is_one_problem(tmp_path: Path) -> None:
    laptop, _ = mirror_of(UNSHOWN, tmp_path)
    (problem,) = (await laptop.sync()).problems
    assert (problem.path, laptop.files()) == (NOTE, {})


async def test_a_text_that_is_no_json_is_still_named_by_its_line(tmp_path: Path) -> None:
    laptop, _ = mirror_of(block(n=1), tmp_path)
    await laptop.sync()
    laptop.file(NOTE).write_bytes(b"{\n  oops")
    (problem,) = (await laptop.sync()).problems
    assert (problem.line, problem.column) == (2, 3)


async def test_a_pull_keeps_the_form_that_a_person_gave_the_file(tmp_path: Path) -> None:
    laptop, pds = mirror_of(block(n=1), tmp_path)
    await laptop.sync()
    mine = f'{{\r\n\t"text": "hello",\r\n\t"n": 1,\r\n\t"$type": "{COLLECTION}"\r\n}}'
    laptop.file(NOTE).write_bytes(mine.encode())
    await silent(laptop, block(n=1))
    serve(pds, block(text="new", n=[1, 2]))
    assert (await laptop.sync()).pulled == (NOTE,)
    theirs = mine.replace("hello", "new").replace("1", "[\r\n\t\t1,\r\n\t\t2\r\n\t]")
    assert laptop.file(NOTE).read_bytes() == theirs.encode()
    await silent(laptop, block(text="new", n=[1, 2]))
