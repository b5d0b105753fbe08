"""Doubt as a pure decision: every combination of facts, and when a doubt is over."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from syncd.cycle.decide.doubt import Outside, Spot, doubt_about
from syncd.state.notes import Place, Witness

HERE, THERE = "/srv/notes", "/srv/copy"
NOW = Spot(
    Place(HERE, 7),
    Witness(1_000, (5, 2_000), (6, 3_000), 2**40, "this machine", {"me": "t2", "other": "o1"}),
)
OTHER_INODE: dict[str, dict[str, object]] = {
    "folder": {"folder": (50, 2_001)},
    "own": {"own": (60, 3_001)},
    "file": {"born": 1_001},
    "filesystem": {"filesystem": 2**41},
}


def before(**changes: object) -> Spot:
    assert NOW.witness is not None
    return Spot(NOW.place, replace(NOW.witness, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("root", [HERE, THERE])
@pytest.mark.parametrize("machine", ["this machine", "another", ""])
@pytest.mark.parametrize("tokens", [("t2",), ("t3", "t2"), ("t3",), ("t3", ""), None])
def test_every_combination_of_what_differs_and_what_is_known_outside(
    root: str, machine: str, tokens: tuple[str, ...] | None
) -> None:
    """In doubt is another folder, always; else another token; else, with no token, a machine."""
    outside = None if tokens is None else Outside("me", tokens)
    for chosen in product((False, True), repeat=len(OTHER_INODE)):
        names = [name for name, is_in in zip(OTHER_INODE, chosen, strict=True) if is_in]
        facts = {key: value for name in names for key, value in OTHER_INODE[name].items()}
        spot = replace(before(**facts, machine=machine), place=Place(root, 7))
        expected = bool(names) or (machine == "another" if tokens is None else "t2" not in tokens)
        doubt = doubt_about(spot, NOW, outside, is_blank=False)
        assert (doubt is not None) == expected, names
        if doubt is not None:
            assert (THERE in doubt.reason) == (root == THERE)


def test_a_folder_that_was_only_renamed_is_no_doubt() -> None:
    spot = Spot(Place(THERE, 7), NOW.witness)
    for outside in (None, Outside("me", ("t2",))):
        assert doubt_about(spot, NOW, outside, is_blank=False) is None


def test_a_file_system_that_numbers_anew_is_no_doubt_where_it_keeps_when_a_file_was_made() -> None:
    spot = before(folder=(55, 2_000), own=(66, 3_000), filesystem=0)
    assert doubt_about(replace(spot, place=Place(HERE, 8)), NOW, None, is_blank=False) is None


def test_without_that_moment_the_inode_decides() -> None:
    same, another = before(folder=(5, 0)), before(folder=(50, 0))
    assert doubt_about(same, NOW, None, is_blank=False) is None
    assert doubt_about(another, NOW, None, is_blank=False) is not None


@pytest.mark.parametrize("tokens", [("t2",), ("t3",), None])
def test_where_no_number_lasts_the_path_and_the_token_decide(
    tokens: tuple[str, ...] | None,
) -> None:
    """On such a file system each mount gives the folder and `.syncd` new numbers."""
    unnumbered = before(folder=(0, 0), own=(0, 0), born=0, filesystem=0)
    outside = None if tokens is None else Outside("me", tokens)
    # A state file that an older syncd wrote has the numbers of an earlier mount.
    for was in (unnumbered, before(folder=(5, 0), own=(6, 0), born=0, filesystem=0)):
        for root, is_moved in ((HERE, False), (THERE, True)):
            spot, now = (
                replace(was, place=Place(root, 8)),
                replace(unnumbered, place=Place(HERE, 0)),
            )
            doubt = doubt_about(spot, now, outside, is_blank=False)
            assert (doubt is not None) == (is_moved or tokens == ("t3",)), (root, tokens)


def test_what_an_older_syncd_wrote_is_no_doubt_unless_the_state_file_is_another_one() -> None:
    for place, expected in ((None, False), (Place(HERE, 7), False), (Place(THERE, 7), False),
                            (Place(HERE, 8), True), (Place(THERE, 8), True),
                            (Place(HERE, 0), False)):  # fmt: skip
        doubt = doubt_about(Spot(place, None), NOW, None, is_blank=False)
        assert (doubt is not None) == expected, place


def test_a_state_file_from_before_there_were_witnesses_is_doubtful_where_there_is_one() -> None:
    spot = Spot(Place(HERE, 7), None)
    assert doubt_about(spot, NOW, Outside("me", ("t2",)), is_blank=False) is not None
    first = Outside("me", ("t1", ""))
    assert doubt_about(spot, NOW, first, is_blank=False) is None, "it was being written first"


def test_a_new_state_file_is_in_doubt_only_where_one_was_synced_before() -> None:
    outside, first = Outside("me", ("t2",)), Outside("me", ("t1", ""))
    assert doubt_about(Spot(None, None), NOW, None, is_blank=True) is None
    assert doubt_about(Spot(None, None), NOW, first, is_blank=True) is None, "a stop in the first"
    lost = doubt_about(Spot(None, None), NOW, outside, is_blank=True)
    assert lost is not None
    assert "lost" in lost.reason
    assert doubt_about(Spot(None, None), NOW, outside, is_blank=False) is not None
    assert doubt_about(before(own=(60, 1)), NOW, outside, is_blank=True) is not None


def test_accounts_that_take_turns_in_one_folder_do_not_cast_doubt_on_each_other() -> None:
    for seat, token in (("me", "t2"), ("other", "o1")):
        assert doubt_about(before(), NOW, Outside(seat, (token,)), is_blank=False) is None
    assert doubt_about(before(), NOW, Outside("third", ("x1", "")), is_blank=False) is None
    assert doubt_about(before(), NOW, Outside("third", ("x1",)), is_blank=False) is not None


def test_the_sentence_says_until_when_a_backup_knows() -> None:
    spot = before(own=(60, 1))
    doubt = doubt_about(spot, NOW, None, is_blank=False, synced_at="2026-01-02T03:04:05Z")
    assert doubt is not None
    assert "until 2026-01-02T03:04:05Z" in doubt.reason
