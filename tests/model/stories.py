"""Named stories: each sets a scene up to the moment in which the laptop is about to sync.

A story says nothing about its end. What must hold in the end holds for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from syncd.model import Choice, RecordPath
from syncd.sandbox import DropAnswer, DropRequest, Refuse, Stale, Torn
from tests.rigs.staged import MINE, THEIRS

from .scene import Scene

Story = Callable[[Scene], Awaitable[None]]

A, B, C = (f"com.example.note/{name}" for name in "abc")
FAR = "com.example.page/" + "x" * 300
MERGED, PAGE = "com.example.merged/a", "com.example.page/a"
APPLY, PUT = "com.atproto.repo.applyWrites", "com.atproto.repo.putRecord"
REPO = "com.atproto.sync.getRepo"

STORIES: dict[str, Story] = {}


def story(tell: Story) -> Story:
    STORIES[tell.__name__.replace("_", " ")] = tell
    return tell


async def shared(scene: Scene, *paths: str) -> None:
    """The laptop has these records, and so has the repo."""
    for path in paths:
        scene.put(path)
    await scene.sit_down().sync()


# --- One side -------------------------------------------------------------------------------------


@story
async def the_first_sync_of_a_repo(scene: Scene) -> None:
    for path in (A, B, MERGED, FAR):
        scene.put(path)
    scene.sit_down()


@story
async def the_first_sync_of_more_files_than_are_written_one_by_one(scene: Scene) -> None:
    for n in range(12):
        scene.put(f"com.example.note/n{n:02}")
    scene.sit_down()


@story
async def the_first_sync_of_a_folder(scene: Scene) -> None:
    laptop = scene.sit_down()
    for path in (A, B, FAR):
        laptop.save(path)


@story
async def a_folder_and_a_repo_that_meet_half_equal(scene: Scene) -> None:
    scene.put(A, v="same")
    scene.put(B, v="theirs")
    scene.put(C)
    laptop = scene.sit_down()
    laptop.save(A, v="same")
    laptop.save(B, v="mine")
    laptop.save(PAGE)


@story
async def a_new_file(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save(B)


@story
async def an_edited_file(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save(A)


@story
async def a_deleted_file(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.delete(A)


@story
async def three_files_at_once(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.save(A)
    scene.laptop.delete(B)
    scene.laptop.save(C)


@story
async def a_file_renamed_to_a_later_key(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.rename(A, C)


@story
async def a_file_renamed_to_an_earlier_key(scene: Scene) -> None:
    await shared(scene, C)
    scene.laptop.rename(C, A)


@story
async def two_files_that_change_places(scene: Scene) -> None:
    await shared(scene, A, B)
    one, two = (scene.laptop.file(path).read_bytes() for path in (A, B))
    scene.laptop.save_text(A, two)
    scene.laptop.save_text(B, one)


@story
async def a_copy_of_a_file(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save_text(B, scene.laptop.file(A).read_bytes())


@story
async def a_file_replaced_by_a_directory(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.save(B)
    scene.laptop.file(A).rename(scene.laptop.root / "elsewhere.json")
    scene.laptop.file(A).mkdir()


@story
async def a_file_with_a_very_long_name(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save(FAR)


@story
async def a_change_of_form_alone(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.reformat(A)
    scene.laptop.save(B)


@story
async def a_file_spoiled(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.spoil(A)
    scene.laptop.save(B)


@story
async def a_file_spoiled_that_the_repo_changes_too(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.spoil(A)
    scene.put(A)


@story
async def a_spoiled_file_repaired(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.spoil(A)
    scene.put(A)
    await scene.laptop.sync()
    scene.laptop.save(A)


@story
async def a_spoiled_file_whose_record_is_deleted_in_the_repo(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.spoil(A)
    scene.drop(A)


@story
async def a_whole_collection_deleted(scene: Scene) -> None:
    await shared(scene, A, B, PAGE, MERGED)
    scene.laptop.delete(A)
    scene.laptop.delete(B)
    scene.laptop.file(A).parent.rmdir()


# --- The repo -------------------------------------------------------------------------------------


@story
async def a_record_created_in_the_repo(scene: Scene) -> None:
    await shared(scene, A)
    scene.put(B)


@story
async def a_record_edited_in_the_repo(scene: Scene) -> None:
    await shared(scene, A)
    scene.put(A)


@story
async def a_record_deleted_in_the_repo(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.drop(A)


@story
async def a_record_deleted_and_made_anew_with_its_content(scene: Scene) -> None:
    scene.put(A, v="same")
    await scene.sit_down().sync()
    scene.drop(A)
    scene.put(A, v="same")


@story
async def records_created_edited_and_deleted_in_the_repo(scene: Scene) -> None:
    await shared(scene, A, B, FAR)
    scene.put(A)
    scene.drop(B)
    scene.put(C)
    scene.put(FAR)


@story
async def a_record_whose_collection_is_new(scene: Scene) -> None:
    await shared(scene, A)
    scene.put(FAR)
    scene.put(MERGED)


@story
async def a_record_that_json_cannot_express(scene: Scene) -> None:
    scene.repo.put(RecordPath(B), {"$type": "com.example.note", "n": 2**60})
    scene.laws.beyond.add(RecordPath(B))
    await shared(scene, A)
    scene.put(A)


# --- Both sides -----------------------------------------------------------------------------------


@story
async def different_files_on_both_sides(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.save(A)
    scene.put(B)
    scene.put(C)


@story
async def equal_edits_on_both_sides(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save(A, v="same")
    scene.put(A, v="same")


@story
async def a_deletion_on_both_sides(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.delete(A)
    scene.drop(A)


@story
async def a_conflict(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.save(A)
    scene.put(A)
    scene.laptop.save(B)


@story
async def a_conflict_of_two_new_records(scene: Scene) -> None:
    await shared(scene, B)
    scene.laptop.save(A)
    scene.put(A)


@story
async def a_conflict_whose_other_side_moves_on(scene: Scene) -> None:
    await a_conflict(scene)
    await scene.laptop.sync()
    scene.put(A)


async def _answered(scene: Scene, choice: Choice) -> None:
    await a_conflict(scene)
    await scene.laptop.sync()
    scene.laptop.decide(A, choice)


@story
async def a_conflict_decided_for_the_folder(scene: Scene) -> None:
    await _answered(scene, Choice.LOCAL)


@story
async def a_conflict_decided_for_the_repo(scene: Scene) -> None:
    await _answered(scene, Choice.REMOTE)


@story
async def a_conflict_that_goes_away(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save(A)
    scene.put(A, v="theirs")
    await scene.laptop.sync()
    scene.laptop.save(A, v="theirs")


@story
async def a_conflict_closed_by_a_deletion_in_the_repo(scene: Scene) -> None:
    await a_conflict(scene)
    await scene.laptop.sync()
    scene.drop(A)


@story
async def a_conflict_closed_by_a_deletion_in_the_folder(scene: Scene) -> None:
    await a_conflict(scene)
    await scene.laptop.sync()
    scene.laptop.delete(A)


@story
async def an_edit_against_a_deletion_in_the_repo(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.save(A)
    scene.drop(A)


@story
async def a_deletion_in_the_folder_against_an_edit(scene: Scene) -> None:
    await shared(scene, A, B)
    scene.laptop.delete(A)
    scene.put(A)


@story
async def a_merge(scene: Scene) -> None:
    scene.put(MERGED, a=1, b=1)
    await scene.sit_down().sync()
    scene.put(MERGED, a=2, b=1)
    scene.laptop.save(MERGED, a=1, b=2)
    scene.journal.superseded |= set(scene.journal.written)  # both live on in the merge


@story
async def a_merge_that_adds_lines_and_items_on_both_sides(scene: Scene) -> None:
    scene.put(PAGE, text="one\ntwo\n", tags=["a"])
    await scene.sit_down().sync()
    scene.put(PAGE, text="zero\none\ntwo\n", tags=["a", "b"])
    scene.laptop.save(PAGE, text="one\ntwo\nthree\n", tags=["a"])
    scene.journal.superseded |= set(scene.journal.written)


@story
async def a_merge_whose_fields_collide(scene: Scene) -> None:
    scene.put(MERGED, a=1, b=1)
    await scene.sit_down().sync()
    scene.put(MERGED, a=2, b=1)
    scene.laptop.save(MERGED, a=3, b=2)


@story
async def a_merge_that_equals_the_repo(scene: Scene) -> None:
    scene.put(MERGED, a=1, b=1)
    await scene.sit_down().sync()
    scene.put(MERGED, a=2, b=2)
    scene.laptop.save(MERGED, a=2, b=1)
    scene.journal.superseded |= set(scene.journal.written)


@story
async def a_conflict_that_the_folder_wins(scene: Scene) -> None:
    await shared(scene, MINE)
    scene.laptop.save(MINE)
    scene.put(MINE)


@story
async def a_conflict_that_the_repo_wins(scene: Scene) -> None:
    await shared(scene, THEIRS)
    scene.laptop.save(THEIRS)
    scene.put(THEIRS)


# --- Pictures -------------------------------------------------------------------------------------


@story
async def a_record_that_brings_its_picture(scene: Scene) -> None:
    scene.put(B)
    await scene.sit_down(blobs_fetch="all").sync()
    scene.put_picture(A, "cat")


@story
async def an_edit_that_takes_the_last_name_from_a_picture(scene: Scene) -> None:
    scene.put_picture(A, "cat")
    await scene.sit_down().sync()
    scene.laptop.save(A)


@story
async def a_record_that_names_a_picture_to_upload(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.draw(A, "cat")


@story
async def a_picture_that_is_uploaded_and_kept(scene: Scene) -> None:
    await scene.sit_down(blobs_fetch="all").sync()
    scene.laptop.draw(A, "cat")


@story
async def a_picture_that_takes_the_place_of_another(scene: Scene) -> None:
    laptop = scene.sit_down(blobs_fetch="all")
    laptop.draw(A, "cat")
    await laptop.sync()
    laptop.draw(A, "dog")


@story
async def a_record_that_comes_back_with_its_picture(scene: Scene) -> None:
    scene.put_picture(A, "cat")
    laptop = scene.sit_down(blobs_fetch="all")
    await laptop.sync()
    text = laptop.file(A).read_bytes()
    scene.drop(A)
    await laptop.sync()
    laptop.save_text(A, text)


# --- Faults ---------------------------------------------------------------------------------------


@story
async def an_answer_to_one_write_lost(scene: Scene) -> None:
    await an_edited_file(scene)
    scene.world.sandbox.faults.add(DropAnswer(), PUT)


@story
async def an_answer_to_many_writes_lost(scene: Scene) -> None:
    await three_files_at_once(scene)
    scene.world.sandbox.faults.add(DropAnswer(), APPLY, skip=1)


@story
async def a_request_lost(scene: Scene) -> None:
    await three_files_at_once(scene)
    scene.world.sandbox.faults.add(DropRequest(), APPLY, skip=1)


@story
async def a_swap_lost(scene: Scene) -> None:
    await three_files_at_once(scene)
    refusal = Refuse(400, "InvalidSwap", "Commit was at another")
    scene.world.sandbox.faults.add(refusal, APPLY, skip=1, times=4)


@story
async def a_record_that_the_pds_refuses(scene: Scene) -> None:
    await three_files_at_once(scene)
    link = {"$link": "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"}
    blob = {"$type": "blob", "ref": link, "mimeType": "image/png", "size": 9}
    scene.laptop.save(PAGE, picture=blob)


@story
async def a_repo_that_arrives_torn(scene: Scene) -> None:
    await records_created_edited_and_deleted_in_the_repo(scene)
    scene.world.sandbox.faults.add(Torn(), REPO)


@story
async def a_repo_that_arrives_late(scene: Scene) -> None:
    await shared(scene, A)
    scene.laptop.save(A)
    await scene.laptop.device.mirror.cycle()
    scene.laptop.save(B)
    scene.world.sandbox.faults.add(Stale(), REPO)


@story
async def a_state_file_lost(scene: Scene) -> None:
    await shared(scene, A, B, C)
    scene.laptop.save(A)
    scene.laptop.delete(B)
    scene.laptop.lose_state()


@story
async def an_older_state_file_that_came_back(scene: Scene) -> None:
    await shared(scene, A, B, C)
    older = scene.laptop.state_files()
    scene.laptop.save(A)
    scene.laptop.delete(B)
    scene.put(C)
    await scene.laptop.sync()
    scene.laptop.save(C)
    scene.laptop.replace_state(older)


@story
async def a_folder_put_back_from_a_backup(scene: Scene) -> None:
    await shared(scene, A, B, C)
    backup = scene.laptop.all_files()
    scene.laptop.save(A)
    scene.put(B)
    scene.laptop.delete(C)
    await scene.laptop.sync()
    scene.laptop.put_back(backup)


@story
async def a_damaged_state_file(scene: Scene) -> None:
    await shared(scene, A, B, C)
    scene.laptop.save(A)
    scene.put(B)
    scene.laptop.stop()
    state = scene.laptop.root / ".syncd" / "state.db"
    state.write_bytes(state.read_bytes()[:5000])
    scene.laptop.start()


@story
async def a_damaged_history(scene: Scene) -> None:
    await shared(scene, A, B, C)
    scene.put(A)
    await scene.laptop.sync()
    history = scene.laptop.root / ".syncd" / "history.db"
    history.write_bytes(history.read_bytes()[:5000])
    scene.put(A)
    scene.laptop.save(B)


# --- Two machines ---------------------------------------------------------------------------------


@story
async def an_edit_on_each_of_two_machines(scene: Scene) -> None:
    await shared(scene, A, B)
    desktop = scene.sit_down("desktop")
    await desktop.sync()
    desktop.save(A)
    await desktop.sync()
    scene.laptop.save(A)
    scene.laptop.save(B)


@story
async def a_rename_on_one_machine_and_an_edit_on_the_other(scene: Scene) -> None:
    await shared(scene, A, B)
    desktop = scene.sit_down("desktop")
    await desktop.sync()
    desktop.rename(A, C)
    await desktop.sync()
    scene.laptop.save(A)


@story
async def a_merge_on_two_machines(scene: Scene) -> None:
    scene.put(MERGED, a=1, b=1, c=1)
    await scene.sit_down().sync()
    desktop = scene.sit_down("desktop")
    await desktop.sync()
    desktop.save(MERGED, a=1, b=2, c=1)
    scene.laptop.save(MERGED, a=2, b=1, c=1)
    scene.put(MERGED, a=1, b=1, c=2)
    scene.journal.superseded |= set(scene.journal.written)


@story
async def a_crashed_exchange_found_by_the_next_look(scene: Scene) -> None:
    await shared(scene, A, B)
    left = json.dumps(scene.fresh(A)).encode()
    scene.put(B)
    directory = scene.laptop.file(A).parent
    (directory / ".syncd-w-0123456789abcdef").write_bytes(left)
