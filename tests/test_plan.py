"""The decision about each record, exhausted over its whole domain; the brake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.merge import settle
from syncd.model import (
    Choice,
    Conflict,
    Decision,
    Held,
    Kind,
    Moved,
    Moves,
    Plan,
    Problem,
    RecordPath,
    Refusal,
    Retry,
    Side,
    Snapshot,
    Step,
    Verdict,
    Waiting,
)
from syncd.model.brake import Brake
from syncd.plan import (
    Views,
    for_a_person,
    make_plan,
    touched,
    verdict,
    without_pushes,
)

A, B, C = (cid_of_block(name) for name in (b"a", b"b", b"c"))
CIDS = (None, A, B, C)
PATH = RecordPath("com.example.note/one")

TABLE: list[tuple[Cid | None, Cid | None, Cid | None, Verdict]] = [
    (None, None, None, Verdict.SETTLED),
    (A, A, A, Verdict.SETTLED),
    (None, A, A, Verdict.ADOPT),
    (A, B, B, Verdict.ADOPT),
    (A, None, None, Verdict.ADOPT),
    (None, A, None, Verdict.PUSH),
    (A, B, A, Verdict.PUSH),
    (A, None, A, Verdict.PUSH),
    (None, None, A, Verdict.PULL),
    (A, A, B, Verdict.PULL),
    (A, A, None, Verdict.PULL),
    (None, A, B, Verdict.CONFLICT),
    (A, B, C, Verdict.CONFLICT),
    (A, B, None, Verdict.CONFLICT),
    (A, None, B, Verdict.CONFLICT),
]
"""Every pattern of (base, local, remote) up to renaming, and the verdict."""


def canonical(views: tuple[Cid | None, ...]) -> tuple[Cid | None, ...]:
    """The same pattern with its contents renamed in order of appearance."""
    names: dict[Cid, Cid] = {}
    fresh = iter((A, B, C))
    return tuple(cid and names.setdefault(cid, cid and _next(names, cid, fresh)) for cid in views)


def _next(names: dict[Cid, Cid], cid: Cid, fresh: object) -> Cid:
    return names[cid] if cid in names else next(fresh)  # type: ignore[call-overload]


LOOSE = Brake(records=1000, whole=1000)


def plan_of(
    base: Snapshot,
    local: Snapshot,
    remote: Snapshot,
    *,
    inert: dict[RecordPath, Problem] | None = None,
    decisions: dict[RecordPath, Decision] | None = None,
    refused: dict[RecordPath, tuple[Cid | None, Problem]] | None = None,
    brake: Brake = LOOSE,
    objection: Callable[[Step], str | None] = lambda _: None,
    moves: Moves | None = None,
) -> Plan:
    views = Views(base, local, remote, inert or {}, refused or {}, decisions or {})
    paths = {*base, *local, *remote, *(inert or {})}
    sizes = Counter(path.split("/")[0] for path in base)
    return make_plan(
        paths,
        views,
        settle=settle,
        sizes=lambda: sizes,
        brake=brake,
        objection=objection,
        moves=lambda _, __: moves or Moves(),
    )


def one(base: Cid | None, local: Cid | None, remote: Cid | None, **kwargs: Any) -> Plan:  # noqa: ANN401
    base_map, local_map, remote_map = ({PATH: c} if c else {} for c in (base, local, remote))
    return plan_of(base_map, local_map, remote_map, **kwargs)


def test_the_table_holds_every_pattern_once() -> None:
    patterns = {canonical(views) for views in product(CIDS, repeat=3)}
    assert {row[:3] for row in TABLE} == patterns
    assert len(TABLE) == len(patterns) == 15


@pytest.mark.parametrize("views", list(product(CIDS, repeat=3)))
def test_a_verdict_depends_only_on_which_views_are_equal(views: tuple[Cid | None, ...]) -> None:
    expected = {row[:3]: row[3] for row in TABLE}
    assert verdict(*views) is expected[canonical(views)]  # type: ignore[index]


def test_both_sides_mirrored_give_the_mirrored_verdict() -> None:
    mirror = {Verdict.PUSH: Verdict.PULL, Verdict.PULL: Verdict.PUSH}
    for base, local, remote in product(CIDS, repeat=3):
        found, other = verdict(base, local, remote), verdict(base, remote, local)
        assert other is mirror.get(found, found)


def test_an_edit_beats_a_deletion_both_ways() -> None:
    assert [s.verdict for s in one(A, B, None).steps] == [Verdict.PUSH]
    assert [s.verdict for s in one(A, None, B).steps] == [Verdict.PULL]
    assert "edit is kept" in one(A, None, B).steps[0].reason


def test_two_edits_are_held_and_told() -> None:
    plan = one(A, B, C)
    assert [step.verdict for step in plan.steps] == [Verdict.CONFLICT]
    assert plan.conflicts[0].reason == "edited in the folder, edited in the repo"


@pytest.mark.parametrize("remote", [None, A, B])
@pytest.mark.parametrize("base", [None, A])
def test_an_inert_file_is_never_pushed_pulled_or_deleted(
    base: Cid | None, remote: Cid | None
) -> None:
    problem = Problem(PATH, "not JSON")
    plan = one(base, None, remote, inert={PATH: problem})
    assert {step.verdict for step in plan.steps} <= {Verdict.SETTLED, Verdict.CONFLICT}
    assert plan.problems == (problem,)
    assert bool(plan.conflicts) == (base != remote)


def test_a_decision_holds_only_for_what_the_person_saw() -> None:
    seen = Decision(PATH, Choice.LOCAL, B, C)
    stale = Decision(PATH, Choice.LOCAL, A, C)
    assert one(A, B, C, decisions={PATH: seen}).steps[0].verdict is Verdict.PUSH
    assert one(A, B, C, decisions={PATH: stale}).steps[0].verdict is Verdict.CONFLICT
    remote = Decision(PATH, Choice.REMOTE, B, C)
    assert one(A, B, C, decisions={PATH: remote}).steps[0].verdict is Verdict.PULL


@pytest.mark.parametrize("remote", [A, B, C])
def test_a_file_that_was_moved_away_for_the_repo_s_version_is_never_a_deletion(
    remote: Cid,
) -> None:
    decisions = {PATH: Decision(PATH, Choice.REMOTE, None, C)}
    step = one(A, None, remote, decisions=decisions).steps[0]
    assert (step.verdict, step.remote) == (Verdict.PULL, remote)
    assert one(A, None, None, decisions=decisions).steps[0].verdict is Verdict.ADOPT
    assert one(A, B, C, decisions=decisions).steps[0].verdict is Verdict.CONFLICT


def test_a_refused_content_waits_until_the_file_changes() -> None:
    problem = Problem(PATH, "too long")
    refused = one(A, B, A, refused={PATH: (B, problem)})
    assert refused.steps[0].verdict is Verdict.SETTLED
    assert refused.problems == (problem,)
    assert one(A, C, A, refused={PATH: (B, problem)}).steps[0].verdict is Verdict.PUSH


def test_a_refused_content_that_a_policy_would_send_stays_a_conflict() -> None:
    """An edit beats a deletion of the repo; what the PDS refused would go out with each cycle."""
    problem = Problem(PATH, "its picture is gone")
    assert one(A, B, None).steps[0].verdict is Verdict.PUSH
    refused = one(A, B, None, refused={PATH: (B, problem)})
    assert [item.path for item in refused.conflicts] == [PATH]
    assert refused.problems == (problem,)
    assert one(A, C, None, refused={PATH: (B, problem)}).steps[0].verdict is Verdict.PUSH


def many(count: int, collection: str = "com.example.note") -> dict[RecordPath, Cid]:
    return {RecordPath(f"{collection}/r{n:04}"): A for n in range(count)}


def first(records: dict[RecordPath, Cid], count: int) -> dict[RecordPath, Cid]:
    return dict(list(records.items())[:count])


@pytest.mark.parametrize(
    ("total", "deleted", "is_held"),
    [
        (100, 20, False),
        (100, 21, True),
        (40, 10, False),
        (40, 11, True),
        (1000, 11, False),
        (5, 4, False),
        (5, 5, True),
        (2, 2, False),
        (1, 1, False),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_the_brake_holds_deletions_of_either_side(
    total: int, deleted: int, is_held: bool, side: Side
) -> None:
    base = many(total) | many(50, "com.example.other")
    left = {path: cid for path, cid in base.items() if path not in first(many(total), deleted)}
    local, remote = (left, base) if side is Side.LOCAL else (base, left)
    plan = plan_of(base, local, remote, brake=Brake())
    assert len(plan.held) == (deleted if is_held else 0)
    assert all(item.side is side for item in plan.held)
    assert len(plan.steps) == len(base) - len(plan.held)


def test_a_whole_folder_that_is_gone_is_held() -> None:
    base = many(1) | many(1, "com.example.b") | many(1, "com.example.c")
    held = plan_of(base, {}, base, brake=Brake()).held
    assert len(held) == 3
    assert held[0].reason == (
        "all 3 records of the mirror were deleted in the folder within 10 minutes; "
        "syncd deletes no more in the repo until you decide"
    )


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("before", "now", "left", "is_held"),
    [(9, 1, 20, False), (10, 1, 19, True), (3, 1, 0, True), (1, 1, 0, False), (10, 1, 90, False)],
)
def test_deletions_that_dribble_in_count_together(
    before: int, now: int, left: int, is_held: bool, side: Side
) -> None:
    """`before` were deleted within the window and are not in base any more."""
    base, kept = many(now + left), first(many(now + left), left)
    local, remote = (kept, base) if side is Side.LOCAL else (base, kept)
    rest = many(50, "com.example.other")
    views = Views(base | rest, dict(local) | rest, dict(remote) | rest)
    recent = {("com.example.note", side): before}
    sizes = {"com.example.note": len(base), "com.example.other": 50}
    plan = make_plan(
        base,
        views,
        settle=settle,
        sizes=lambda: sizes,
        brake=Brake(),
        recent=lambda _: recent,
    )
    assert len(plan.held) == (now if is_held else 0)
    for item in plan.held:
        assert f"{before + now} of {before + now + left} records" in item.reason


def test_only_deletions_are_held() -> None:
    base = many(30)
    local = dict.fromkeys(first(base, 10), B)
    plan = plan_of(base, local, base, brake=Brake())
    assert len(plan.held) == 20
    assert len(plan.with_verdict(Verdict.PUSH)) == 10


def test_an_approved_deletion_passes_and_a_rejected_one_comes_back() -> None:
    base = many(20)
    approve = {path: Decision(path, Choice.APPROVE, None, A) for path in base}
    reject = {path: Decision(path, Choice.REJECT, None, A) for path in base}
    assert len(plan_of(base, {}, base, decisions=approve, brake=Brake()).held) == 0
    back = plan_of(base, {}, base, decisions=reject, brake=Brake())
    assert {step.verdict for step in back.steps} == {Verdict.PULL}


def test_what_was_held_stays_held_when_too_few_are_left_for_the_brake() -> None:
    base = many(4)
    first, *rest = sorted(base)
    views = Views(base, {first: A}, base, held=dict.fromkeys(rest))
    plan = make_plan(
        base, views, settle=settle, sizes=lambda: {"com.example.note": 4}, brake=Brake()
    )
    assert [item.path for item in plan.held] == rest


def test_a_read_only_mirror_pushes_nothing_and_says_so() -> None:
    plan = without_pushes(one(A, B, A))
    assert plan.steps == ()
    assert "read-only" in plan.problems[0].reason


SNAPSHOTS = st.dictionaries(st.sampled_from(sorted(many(6))), st.sampled_from((A, B, C)))


@given(SNAPSHOTS, SNAPSHOTS, SNAPSHOTS)
def test_a_plan_is_sorted_and_repeats_itself(
    base: Snapshot, local: Snapshot, remote: Snapshot
) -> None:
    plan = plan_of(base, local, remote)
    assert plan == plan_of(dict(reversed(list(base.items()))), dict(local), dict(remote))
    assert [step.path for step in plan.steps] == sorted(step.path for step in plan.steps)


@given(SNAPSHOTS, SNAPSHOTS, SNAPSHOTS)
def test_carrying_a_plan_out_leaves_nothing_but_conflicts(
    base: Snapshot, local: Snapshot, remote: Snapshot
) -> None:
    plan = plan_of(base, local, remote)
    for step in plan.steps:
        if step.verdict is Verdict.CONFLICT:
            continue
        agreed = step.remote if step.verdict is Verdict.PULL else step.local
        base, local, remote = (put(view, step.path, agreed) for view in (base, local, remote))
    again = plan_of(base, local, remote)
    assert {step.verdict for step in again.steps} <= {Verdict.SETTLED, Verdict.CONFLICT}


@pytest.mark.parametrize(
    ("base", "local", "remote", "kind"),
    [
        (None, A, None, Kind.CREATION),
        (A, B, A, Kind.EDIT),
        (A, None, A, Kind.DELETION),
        (A, A, B, None),
        (A, A, None, None),
        (A, B, B, None),
        (A, B, C, None),
    ],
)
def test_an_objection_holds_every_push_and_nothing_else(
    base: Cid | None, local: Cid | None, remote: Cid | None, kind: Kind | None
) -> None:
    found = one(base, local, remote, objection=lambda _: "why")
    assert [hold.kind for hold in found.held] == ([] if kind is None else [kind])
    assert not found.with_verdict(Verdict.PUSH)
    assert bool(found.steps) == (kind is None)


@pytest.mark.parametrize("choice", [Choice.APPROVE, Choice.REJECT])
def test_a_decision_for_these_contents_outranks_an_objection(choice: Choice) -> None:
    decided = {PATH: Decision(PATH, choice, B, A)}
    found = one(A, B, A, objection=lambda _: "why", decisions=decided)
    assert not found.held
    expected = Verdict.PUSH if choice is Choice.APPROVE else Verdict.PULL
    assert [step.verdict for step in found.steps] == [expected]
    other = one(A, C, A, objection=lambda _: "why", decisions=decided)
    assert [(hold.kind, hold.local, hold.remote) for hold in other.held] == [(Kind.EDIT, C, A)]


@pytest.mark.parametrize(("base", "local", "remote"), list(product((None, A, B), repeat=3)))
def test_a_decision_to_publish_changes_no_verdict(
    base: Cid | None, local: Cid | None, remote: Cid | None
) -> None:
    decided = {PATH: Decision(PATH, Choice.PUBLISH, local, remote)}
    found = one(base, local, remote, decisions=decided)
    plain = one(base, local, remote)
    assert [step.verdict for step in found.steps] == [step.verdict for step in plain.steps]


def test_a_rejection_of_what_is_a_conflict_by_now_leaves_the_conflict() -> None:
    decided = {PATH: Decision(PATH, Choice.REJECT, B, C)}
    assert [found.path for found in one(A, B, C, decisions=decided).conflicts] == [PATH]


def test_a_record_whose_content_stands_elsewhere_is_not_deleted_in_the_repo() -> None:
    moved = Moved(PATH, "its file was moved", file="com.example.note/one.txt", inode=1)
    assert one(A, None, A).with_verdict(Verdict.PUSH)
    found = one(A, None, A, moves=Moves({PATH: moved}))
    assert not found.with_verdict(Verdict.PUSH)
    assert not found.held


def test_a_record_whose_file_is_being_moved_is_looked_at_again_with_its_heir() -> None:
    heir = RecordPath("com.example.note/heir")
    found = one(A, None, A, moves=Moves(awaited={PATH: heir}))
    assert {item.path for item in found.retries} == {PATH, heir}
    assert (found.problems, found.held, found.with_verdict(Verdict.PUSH)) == ((), (), ())


def put(view: Snapshot, path: RecordPath, cid: Cid | None) -> Snapshot:
    rest = {other: kept for other, kept in view.items() if other != path}
    return rest if cid is None else {**rest, path: cid}


def test_touched_paths_are_edited_gone_or_inert() -> None:
    base = many(4)
    edited, gone, unread, same = sorted(base)
    local = {edited: B, same: A}
    found = touched(base, local, {}, lambda path: path == gone)
    assert found == {edited, gone}
    assert unread not in found


def test_what_waits_for_a_person_is_told_by_kind() -> None:
    conflict = Conflict(PATH, A, B, C, "edited on both sides")
    problem, held = Problem(PATH, "it is a link"), Held(PATH, Side.LOCAL, "")
    refusal = Refusal(PATH, A, "the PDS refuses it", "change it")
    retry = Retry(PATH, "the answer was lost")
    waiting: list[Waiting] = [conflict, problem, held, refusal, retry]
    assert for_a_person(waiting) == (
        (conflict,),
        (problem, Problem(PATH, "the PDS refuses it", "change it")),
        (held,),
    )
