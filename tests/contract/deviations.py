"""The laws of the contract that other PDSes break, by name, with what each does instead.

A law that is named here for a rung has to fail on it, in the law itself and by the exception that
its deviation means: if the rig fails, the law fails. A key may name one case of a law: `law[case]`.
docs/remote.md has the same differences in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Final

import pytest
from httpx import HTTPStatusError

from syncd.errors import NotFound, Rejected, SwapFailed, TooLarge
from tests.contract.rungs import NotOffered

HERE = Path(__file__).parent
Raises = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Deviation:
    """Why a law does not hold on a PDS, and how it fails there.

    Attributes:
        why: What the PDS does instead. docs/remote.md has a row for it.
        raises: What the law ends with.
        words: Words of that exception. An AssertionError of pytest has none that stay the same.
    """

    why: str
    raises: Raises
    words: str = ""

    def explains(self, error: BaseException, law: str) -> bool:
        """Tell whether `law` ended with this: not its fixtures, and not an assertion of a rig."""
        frames = extract_tb(error.__traceback__)
        is_own = any(frame.name == law for frame in frames)
        is_ours = Path(frames[-1].filename).parent == HERE
        return (
            is_own
            and self.words in str(error)
            and (is_ours or not isinstance(error, AssertionError))
        )


def refused(why: str, words: str) -> Deviation:
    """The PDS refuses, in these words, what the law has it take or refuse in another way."""
    return Deviation(why, Rejected, words)


def taken(why: str) -> Deviation:
    """The PDS takes, or has, what the law has it refuse."""
    return Deviation(why, pytest.fail.Exception, "DID NOT RAISE")


def otherwise(why: str) -> Deviation:
    """The PDS answers something else than the law says."""
    return Deviation(why, AssertionError)


def untried(why: str, words: str) -> Deviation:
    """The PDS has nothing to try the law with."""
    return Deviation(why, NotOffered, words)


PUT_OF_SAME = "test_a_put_of_what_is_there_succeeds_without_a_commit_whatever_it_expects"
PREDICTS = "test_the_cid_that_syncd_predicts_is_the_one_of_the_pds"
IMPOSSIBLE = "test_one_impossible_change_keeps_a_whole_batch_from_being_written"

NO_GUARDS = "it takes no guard, so what is written without one is written over whatever is there"
TOO_LARGE_400 = "it says in a 400, not a 413, that a body is too large"
REFUSES = "it refuses with a 400 what the reference PDS fails on with a 500: an existing key"
THERE, NOT_THERE = "There is already a value at key", "doesn't exist in repo"
DELETES = refused(
    "its deleteRecord carries a deletion out and answers 400, because its answer has no body",
    "deleteRecord output with value `None`",
)
KEEPS_OLD = "in memory it drops no block that is superseded, and sends the whole repo for any since"
NO_BLOBS = refused(
    "it answers an upload with a 400, and fetches the blobs that its records name elsewhere",
    "uploadBlob output with value `('Not implemented', 501)`",
)
TAKES_ANY = taken("it checks neither a $type nor an integer nor an unknown lexicon")
NO_REV = "its getRepoStatus names no rev"
NO_SINCE = "its stream does not name the commit before"
NO_END = "its one token is never over, and is no JWT"
NO_TYPE = otherwise("it adds no $type to a record without one")
FLOATS = otherwise("it keeps a fraction of zero: 1.0 is another value than 1")
MOVES = otherwise("it keeps a content that moves within a batch")
NO_TAKEDOWN = untried("its operator can deactivate an account, and not take it down", "takes no")

ARROBA: Final[Mapping[str, Deviation]] = {
    # --- guards ---
    "test_guards_are_honoured": otherwise(NO_GUARDS),
    "test_a_batch_on_a_head_that_is_past_is_refused_and_writes_nothing": taken(NO_GUARDS),
    "test_of_ten_batches_on_one_head_exactly_one_is_written": otherwise(NO_GUARDS),
    "test_a_put_that_expects_nothing_leaves_what_is_there": taken(NO_GUARDS),
    "test_a_put_leaves_a_record_that_it_does_not_name": taken(NO_GUARDS),
    "test_a_put_that_names_a_record_does_not_create_one": taken(NO_GUARDS),
    # --- writes ---
    f"{IMPOSSIBLE}[a creation of what is there]": refused(REFUSES, THERE),
    f"{IMPOSSIBLE}[an update of what is not]": refused(REFUSES, NOT_THERE),
    f"{IMPOSSIBLE}[a deletion of what is not]": refused(REFUSES, NOT_THERE),
    "test_a_creation_without_a_guard_never_replaces_a_record": refused(REFUSES, THERE),
    "test_two_hundred_and_one_changes_are_too_many_and_none_is_written": refused(
        TOO_LARGE_400, "Too many operations (201)"
    ),
    "test_a_body_over_a_million_bytes_is_too_large_and_nothing_is_written": refused(
        TOO_LARGE_400, "exceeds max 1000000"
    ),
    PUT_OF_SAME: otherwise("it makes a commit of a put that changes nothing"),
    "test_delete_removes_the_record_that_it_names": DELETES,
    "test_delete_leaves_a_record_that_it_does_not_name": DELETES,
    "test_deleting_what_is_not_there_succeeds_without_a_commit": DELETES,
    "test_a_repo_whose_last_record_is_deleted_can_still_be_read": DELETES,
    "test_a_record_without_a_type_is_given_one": NO_TYPE,
    "test_a_record_of_another_type_than_its_collection_is_refused": TAKES_ANY,
    "test_a_record_of_an_unknown_type_is_refused_if_validation_is_asked_for": TAKES_ANY,
    "test_an_integer_that_javascript_cannot_hold_is_never_written": TAKES_ANY,
    "test_every_legal_record_key_is_taken[~tilde_-]": refused(
        "its tree takes no tilde in a key", "Invalid MST key"
    ),
    "test_every_legal_record_key_is_taken[rkey7]": refused(
        "its tree takes 256 characters of a key at most", "Invalid MST key"
    ),
    "test_collections_that_differ_in_case_are_two": refused(
        "it takes no upper case in the authority", "Com.Example.thing"
    ),
    # --- reads ---
    "test_since_the_head_there_is_nothing_but_the_root": otherwise(KEEPS_OLD),
    "test_since_a_moment_that_is_still_to_come_there_is_nothing_but_the_root": otherwise(KEEPS_OLD),
    "test_a_difference_holds_only_blocks_that_are_live_and_were_not_before": otherwise(KEEPS_OLD),
    "test_a_difference_leaves_out_a_record_whose_content_was_there_already": otherwise(KEEPS_OLD),
    "test_a_deletion_leaves_no_trace_but_the_new_tree": DELETES,
    "test_a_record_that_moves_in_two_commits_is_never_lost": DELETES,
    "test_a_superseded_block_is_gone": taken(KEEPS_OLD),
    # --- accounts ---
    "test_an_active_repo_says_where_it_is": otherwise(NO_REV),
    "test_an_account_that_is_not_active_is_unavailable_and_never_empty[takendown]": NO_TAKEDOWN,
    "test_an_account_that_is_not_active_cannot_be_written_to[takendown]": NO_TAKEDOWN,
    # --- sessions, proofs and the stream ---
    "test_an_access_token_whose_time_is_over_is_renewed_and_the_write_lands_once": untried(
        NO_END, "one token"
    ),
    "test_a_refresh_token_leads_to_the_same_successor_when_it_is_used_twice": Deviation(
        NO_END, IndexError
    ),
    "test_a_crash_while_tokens_are_rotated_needs_no_new_login": untried(NO_END, "one token"),
    "test_that_there_is_no_such_lexicon_is_proven": Deviation(
        "it proves no absence, and answers 400", HTTPStatusError, "400 BAD REQUEST"
    ),
    "test_the_pds_resolves_its_handles": otherwise("it resolves no handles"),
    "test_a_commit_is_told_with_its_ops_and_its_blocks": otherwise(NO_SINCE),
    "test_a_cursor_in_the_future_is_an_error_and_the_end": otherwise(
        "it ends a stream after an error as if there had been none"
    ),
    # --- what syncd makes of it ---
    "test_an_answer_as_it_should_be_takes_one_write[batch]": otherwise(NO_GUARDS),
    "test_an_unclear_answer_makes_one_commit_all_the_same[batch]": otherwise(NO_GUARDS),
    "test_a_write_that_was_done_although_a_pause_was_asked_for_is_not_sent_again[batch]": (
        otherwise(NO_GUARDS)
    ),
    "test_somebody_writes_between_our_look_and_our_write[False-the same record]": otherwise(
        NO_GUARDS
    ),
    "test_a_blob_that_the_pds_lacks_costs_a_batch_one_request_where_it_is_named": otherwise(
        NO_BLOBS.why
    ),
    "test_most_moves_of_a_content_within_a_batch_lose_it": MOVES,
    **{
        f"{PREDICTS}[{number}]": FLOATS
        for number in (
            "a number with a zero fraction",
            "a number with an exponent",
            "a number with a negative exponent",
            "minus zero",
        )
    },
    f"{PREDICTS}[no type]": NO_TYPE,
    # --- blobs ---
    **dict.fromkeys(
        (
            "test_an_upload_says_the_hash_the_size_and_the_type",
            "test_the_first_bytes_say_the_type_and_else_the_upload",
            "test_the_type_of_the_first_upload_stays_whatever_the_second_is_told",
            "test_an_empty_blob_is_taken",
            "test_a_blob_of_the_limit_is_taken_and_one_byte_more_is_too_much",
            "test_a_blob_can_be_fetched_once_a_record_names_it",
            "test_a_record_without_its_blob_is_refused_and_with_it_the_whole_batch",
            "test_a_size_that_is_not_the_blob_s_is_refused",
            "test_of_a_blob_that_a_record_names_nothing_is_checked",
            "test_a_blob_of_another_account_is_not_found",
            "test_an_account_that_is_deactivated_takes_blobs_and_gives_none",
            "test_a_blob_goes_with_the_last_record_that_names_it",
            "test_a_blob_that_went_can_be_uploaded_again_as_another_type",
            "test_a_blob_stays_with_a_record_that_takes_it_in_the_same_batch",
            "test_a_blob_that_an_edit_replaces_goes_and_the_new_one_stays",
            "test_an_edit_that_keeps_a_blob_keeps_it",
            "test_a_blob_that_was_taken_down_is_gone_for_everybody_until_that_is_undone",
        ),
        NO_BLOBS,
    ),
}

BAD_PARAMETER = otherwise("it answers a bad parameter with a 500")

OLDER: Final[Mapping[str, Deviation]] = {
    "test_a_record_just_under_the_limit_is_taken": Deviation(
        "it takes 150 KiB of JSON, and says 413", TooLarge, "413"
    ),
    "test_the_pds_resolves_its_handles": otherwise(
        "it has another name for a handle that it does not know"
    ),
    "test_blobs_that_records_name_are_listed_in_pages": BAD_PARAMETER,
    "test_a_token_for_another_service_is_signed_by_the_account": BAD_PARAMETER,
    "test_a_handle_is_changed_where_it_is_free": otherwise(
        "it has another name for a handle that is taken"
    ),
}

WHOLE_REPO = "it sends the whole repo for any since, superseded blocks included"
SMALL = "it takes 64 KiB of JSON, and says 413"
GUARDS_FIRST = "it looks at the guard first, and refuses what changes nothing where that is wrong"
STRICT = "it refuses an integer that JavaScript cannot hold, and an empty key, with a 400"
ONE_BLOCK = "its getBlocks does not send all of the blocks that are in its CARs"
PLAIN_400 = "it refuses with a 400 what the reference PDS fails on with a 500"
NO_NAME = "it has another name for a handle that it does not know"
LINKS = otherwise("it takes no link but one in base32, by SHA-256, to dag-cbor or raw bytes")
STILL_READ = "it shows the repo of an account that is not active"

ALTERAN: Final[Mapping[str, Deviation]] = {
    IMPOSSIBLE: refused(PLAIN_400, ""),
    "test_a_creation_without_a_guard_never_replaces_a_record": refused(PLAIN_400, ""),
    "test_a_record_just_under_the_limit_is_taken": Deviation(SMALL, TooLarge, "413"),
    f"{PUT_OF_SAME}[nothing]": Deviation(GUARDS_FIRST, SwapFailed),
    f"{PUT_OF_SAME}[another record]": Deviation(GUARDS_FIRST, SwapFailed),
    "test_deleting_what_is_not_there_succeeds_without_a_commit": Deviation(
        GUARDS_FIRST, SwapFailed
    ),
    "test_an_integer_that_javascript_cannot_hold_is_never_written": refused(STRICT, ""),
    "test_every_kind_of_value_keeps_its_cid": refused(STRICT, ""),
    "test_since_the_head_there_is_nothing_but_the_root": otherwise(WHOLE_REPO),
    "test_since_a_moment_that_is_still_to_come_there_is_nothing_but_the_root": otherwise(
        WHOLE_REPO
    ),
    "test_a_difference_holds_only_blocks_that_are_live_and_were_not_before": otherwise(WHOLE_REPO),
    "test_a_difference_leaves_out_a_record_whose_content_was_there_already": otherwise(WHOLE_REPO),
    "test_a_superseded_block_is_gone": taken(WHOLE_REPO),
    "test_blocks_can_be_had_one_by_one": Deviation(ONE_BLOCK, NotFound),
    "test_more_blocks_than_one_request_holds_come_all_the_same": Deviation(ONE_BLOCK, NotFound),
    "test_an_account_that_is_not_active_is_unavailable_and_never_empty": taken(STILL_READ),
    "test_the_pds_resolves_its_handles": otherwise(NO_NAME),
    "test_a_cursor_in_the_future_is_an_error_and_the_end": otherwise(
        "it takes a cursor of the future"
    ),
    "test_a_change_of_status_is_told": Deviation(
        "its operator changes the status of an account in the database, and its stream is silent",
        TimeoutError,
    ),
    "test_most_moves_of_a_content_within_a_batch_lose_it": MOVES,
    f"{PREDICTS}[an empty key]": otherwise(STRICT),
    f"{PREDICTS}[many keys]": otherwise(SMALL),
    f"{PREDICTS}[some depth]": otherwise(
        "it takes a record that is nested a hundred deep, not 200"
    ),
    **{
        f"{law}[a link {kind}]": LINKS
        for law in (PREDICTS, "test_a_link_has_the_spelling_of_the_pds")
        for kind in ("of CIDv0", "to dag-pb", "by SHA-512", "to dag-json by BLAKE2b", "in base58")
    },
}

DEVIATIONS: Final[Mapping[str, Mapping[str, Deviation]]] = {
    "arroba": ARROBA,
    "older": OLDER,
    "alteran": ALTERAN,
}

AT_ONCE = "test_twenty_puts_at_once_to_different_records_all_land"
UNPROMISED: Final[Mapping[str, Mapping[str, Deviation]]] = {
    "arroba": {AT_ONCE: otherwise("it may lose writes that are sent at once")},
    "alteran": {AT_ONCE: Deviation("it may refuse writes that are sent at once", SwapFailed)},
}
"""What a PDS breaks by chance. syncd sends one write at a time."""
