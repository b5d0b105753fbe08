"""The laws of the contract that other PDSes break, by name, with what each does instead.

A law that is named here for a rung has to fail on it. A key may name one case of a law:
`law[case]`. docs/remote.md has the same differences in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TOO_LARGE_400 = "it says in a 400, not a 413, that a body is too large"
NOTHING_400 = "it refuses the deletion of nothing with a 400"
PUT_OF_SAME = "test_a_put_of_what_is_there_succeeds_without_a_commit_whatever_it_expects"
NO_GUARDS = "it takes no guard, so what is written without one is written over whatever is there"
NO_STATUS = "it has no status of accounts that its getRepoStatus could name"
KEEPS_OLD = "in memory it drops no block that is superseded, and sends the whole repo for any since"
REFUSES = "it refuses with a 400 what the reference PDS fails on with a 500: an existing key"
DELETES = "its deleteRecord carries a deletion out and answers 400, because its answer has no body"
NO_BLOBS = "it answers an upload with 501, and fetches the blobs that its records name elsewhere"
TAKES_ANY = "it checks neither a $type nor an integer nor an unknown lexicon"

ARROBA: Final[Mapping[str, str]] = {
    # --- guards ---
    "test_guards_are_honoured": NO_GUARDS,
    "test_a_batch_on_a_head_that_is_past_is_refused_and_writes_nothing": NO_GUARDS,
    "test_of_ten_batches_on_one_head_exactly_one_is_written": NO_GUARDS,
    "test_a_put_that_expects_nothing_leaves_what_is_there": NO_GUARDS,
    "test_a_put_leaves_a_record_that_it_does_not_name": NO_GUARDS,
    "test_a_put_that_names_a_record_does_not_create_one": NO_GUARDS,
    # --- writes ---
    "test_one_impossible_change_keeps_a_whole_batch_from_being_written": REFUSES,
    "test_a_creation_without_a_guard_never_replaces_a_record": REFUSES,
    "test_two_hundred_and_one_changes_are_too_many_and_none_is_written": TOO_LARGE_400,
    "test_a_body_over_a_million_bytes_is_too_large_and_nothing_is_written": TOO_LARGE_400,
    PUT_OF_SAME: "it makes a commit of a put that changes nothing",
    "test_delete_removes_the_record_that_it_names": DELETES,
    "test_delete_leaves_a_record_that_it_does_not_name": DELETES,
    "test_deleting_what_is_not_there_succeeds_without_a_commit": NOTHING_400,
    "test_a_repo_whose_last_record_is_deleted_can_still_be_read": DELETES,
    "test_a_record_without_a_type_is_given_one": "it adds no $type to a record without one",
    "test_a_record_of_another_type_than_its_collection_is_refused": TAKES_ANY,
    "test_a_record_of_an_unknown_type_is_refused_if_validation_is_asked_for": TAKES_ANY,
    "test_an_integer_that_javascript_cannot_hold_is_never_written": TAKES_ANY,
    "test_every_legal_record_key_is_taken[~tilde_-]": "its tree takes no tilde in a key",
    "test_every_legal_record_key_is_taken[rkey7]": "its tree takes 256 characters of a key at most",
    "test_collections_that_differ_in_case_are_two": "it takes no upper case in the authority",
    # --- reads ---
    "test_since_the_head_there_is_nothing_but_the_root": KEEPS_OLD,
    "test_since_a_moment_that_is_still_to_come_there_is_nothing_but_the_root": KEEPS_OLD,
    "test_a_difference_holds_only_blocks_that_are_live_and_were_not_before": KEEPS_OLD,
    "test_a_difference_leaves_out_a_record_whose_content_was_there_already": KEEPS_OLD,
    "test_a_deletion_leaves_no_trace_but_the_new_tree": DELETES,
    "test_a_record_that_moves_in_two_commits_is_never_lost": DELETES,
    "test_a_superseded_block_is_gone": KEEPS_OLD,
    # --- accounts ---
    "test_an_active_repo_says_where_it_is": NO_STATUS,
    "test_an_account_that_is_active_again_is_as_it_was": NO_STATUS,
    "test_an_account_that_is_not_active_is_unavailable_and_never_empty": NO_STATUS,
    "test_an_account_that_is_not_active_cannot_be_written_to": NO_STATUS,
    # --- blobs ---
    "test_an_upload_says_the_hash_the_size_and_the_type": NO_BLOBS,
    "test_the_first_bytes_say_the_type_and_else_the_upload": NO_BLOBS,
    "test_the_type_of_the_first_upload_stays_whatever_the_second_is_told": NO_BLOBS,
    "test_an_empty_blob_is_taken": NO_BLOBS,
    "test_a_blob_of_the_limit_is_taken_and_one_byte_more_is_too_much": NO_BLOBS,
    "test_a_blob_can_be_fetched_once_a_record_names_it": NO_BLOBS,
    "test_a_record_without_its_blob_is_refused_and_with_it_the_whole_batch": NO_BLOBS,
    "test_a_size_that_is_not_the_blob_s_is_refused": NO_BLOBS,
    "test_of_a_blob_that_a_record_names_nothing_is_checked": NO_BLOBS,
    "test_a_blob_of_another_account_is_not_found": NO_BLOBS,
    "test_an_account_that_is_deactivated_takes_blobs_and_gives_none": NO_BLOBS,
    "test_a_blob_goes_with_the_last_record_that_names_it": NO_BLOBS,
    "test_a_blob_that_went_can_be_uploaded_again_as_another_type": NO_BLOBS,
    "test_a_blob_stays_with_a_record_that_takes_it_in_the_same_batch": NO_BLOBS,
    "test_a_blob_that_an_edit_replaces_goes_and_the_new_one_stays": NO_BLOBS,
    "test_an_edit_that_keeps_a_blob_keeps_it": NO_BLOBS,
    "test_a_blob_that_was_taken_down_is_gone_for_everybody_until_that_is_undone": NO_BLOBS,
}

BAD_PARAMETER = "it answers a bad parameter with a 500"

OLDER: Final[Mapping[str, str]] = {
    "test_a_record_just_under_the_limit_is_taken": "it takes 150 KiB of JSON, and says 413",
    "test_the_pds_resolves_its_handles": "it has another name for a handle that it does not know",
    "test_blobs_that_records_name_are_listed_in_pages": BAD_PARAMETER,
    "test_a_token_for_another_service_is_signed_by_the_account": BAD_PARAMETER,
    "test_a_handle_is_changed_where_it_is_free": "it has another name for a handle that is taken",
}

WHOLE_REPO = "it sends the whole repo for any since, superseded blocks included"
GUARDS_FIRST = "it looks at the guard first, and refuses what changes nothing where that is wrong"
STRICT = "it refuses an integer that JavaScript cannot hold, and an empty key, with a 400"
ONE_BLOCK = "its getBlocks does not send all of the blocks that are in its CARs"
PLAIN_400 = "it refuses with a 400 what the reference PDS fails on with a 500"

ALTERAN: Final[Mapping[str, str]] = {
    "test_one_impossible_change_keeps_a_whole_batch_from_being_written": PLAIN_400,
    "test_a_creation_without_a_guard_never_replaces_a_record": PLAIN_400,
    "test_a_record_just_under_the_limit_is_taken": "it takes 64 KiB of JSON, and says 413",
    f"{PUT_OF_SAME}[nothing]": GUARDS_FIRST,
    f"{PUT_OF_SAME}[another record]": GUARDS_FIRST,
    "test_deleting_what_is_not_there_succeeds_without_a_commit": GUARDS_FIRST,
    "test_an_integer_that_javascript_cannot_hold_is_never_written": STRICT,
    "test_every_kind_of_value_keeps_its_cid": STRICT,
    "test_since_the_head_there_is_nothing_but_the_root": WHOLE_REPO,
    "test_since_a_moment_that_is_still_to_come_there_is_nothing_but_the_root": WHOLE_REPO,
    "test_a_difference_holds_only_blocks_that_are_live_and_were_not_before": WHOLE_REPO,
    "test_a_difference_leaves_out_a_record_whose_content_was_there_already": WHOLE_REPO,
    "test_a_superseded_block_is_gone": WHOLE_REPO,
    "test_blocks_can_be_had_one_by_one": ONE_BLOCK,
    "test_more_blocks_than_one_request_holds_come_all_the_same": ONE_BLOCK,
    "test_an_account_that_is_active_again_is_as_it_was": NO_STATUS,
    "test_an_account_that_is_not_active_is_unavailable_and_never_empty": NO_STATUS,
    "test_an_account_that_is_not_active_cannot_be_written_to": NO_STATUS,
}

DEVIATIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "arroba": ARROBA,
    "older": OLDER,
    "alteran": ALTERAN,
}

AT_ONCE = "test_twenty_puts_at_once_to_different_records_all_land"
UNPROMISED: Final[Mapping[str, Mapping[str, str]]] = {
    "arroba": {AT_ONCE: "it may lose writes that are sent at once"},
    "alteran": {AT_ONCE: "it may refuse writes that are sent at once"},
}
"""What a PDS breaks by chance. syncd sends one write at a time."""
