"""Deciding, merging, logging and restoring as a person does it, against the reference PDS."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.rigs import warm
from tests.rigs.home import Home
from tests.rigs.machine import Machine, save, wait_until

NOTE = "com.example.note/one"
OTHER = "com.example.note/two"
VIM = "vim.tiny", "vim", "vi"


def value(folder: Path, path: str) -> Any:  # noqa: ANN401
    return json.loads((folder / f"{path}.json").read_text(encoding="utf-8"))


def in_conflict(home: Home, laptop: Machine, folder: Path, mine: str, theirs: str) -> None:
    """Both edited `text` as given; `a` is edited here and `b` there."""
    save(folder, NOTE, text="was", a=1, b=1)
    laptop.ok("sync", at=folder)
    save(folder, NOTE, text=mine, a=2, b=1)
    home.write(NOTE, text=theirs, a=1, b=2)
    assert laptop.run("sync", at=folder).code == 3


def test_a_merge_takes_both_edits_and_refuses_a_collision(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    in_conflict(home, laptop, folder, "mine", "theirs")
    before = (folder / f"{NOTE}.json").read_bytes()
    shown = laptop.ok("diff", at=folder).out
    assert "folder changed /a, /text (saved 20" in shown
    assert "repo changed /b, /text" in shown
    assert "\x1b" not in shown
    (told,) = laptop.ok("diff", "--json", at=folder).json["differences"]
    assert told["changed"] == {"local": ["/a", "/text"], "remote": ["/b", "/text"]}
    ran = laptop.run("resolve", NOTE, "--merge", at=folder)
    assert ran.code == 1
    assert "both sides changed /text" in ran.err
    assert "--edit" in ran.err
    assert (folder / f"{NOTE}.json").read_bytes() == before
    save(folder, NOTE, text="was", a=2, b=1)
    assert laptop.run("sync", at=folder).code == 3
    laptop.ok("resolve", "com.example.*/*", "--merge", at=folder)
    assert value(folder, NOTE) == {"$type": "com.example.note", "text": "theirs", "a": 2, "b": 2}
    assert laptop.run("conflicts", at=folder).code == 0
    laptop.ok("verify", at=folder)
    events = laptop.ok("log", NOTE, "--json", at=folder).lines
    assert {event["reason"] for event in events} >= {"resolved: merged", "resolved: the local side"}


def test_an_edit_in_a_script_counts_only_when_it_is_finished(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    in_conflict(home, laptop, folder, "mine", "theirs")
    before = (folder / f"{NOTE}.json").read_bytes()
    for editor, word in (
        ("true", "git conflict"),
        ("false", "ended with 1"),
        ("nono-x", "started"),
    ):
        ran = replace(laptop, environ={"EDITOR": editor}).run("resolve", NOTE, "--edit", at=folder)
        assert (ran.code in (1, 78), word in ran.err) == (True, True), ran
        assert (folder / f"{NOTE}.json").read_bytes() == before
    assert laptop.run("conflicts", at=folder).code == 3
    script = "sed -i -e '/^<<<<<<<\\|^=======\\|^>>>>>>>/d' -e '/theirs/d'"
    edited = replace(laptop, environ={"EDITOR": "nono-x", "VISUAL": script})
    edited.ok("resolve", NOTE, "--edit", at=folder)
    assert value(folder, NOTE)["text"] == "mine"
    assert value(folder, NOTE)["b"] == 2
    laptop.ok("verify", at=folder)


def test_an_invalid_file_is_set_aside_for_the_repos_version(home: Home) -> None:
    home.write(NOTE, text="one")
    laptop = home.machine()
    folder = home.clone(laptop)
    file = folder / f"{NOTE}.json"
    file.write_text("{ half a thou", encoding="utf-8")
    home.write(NOTE, text="two")
    assert laptop.run("sync", at=folder).code == 3
    ran = laptop.run("resolve", NOTE, "--local", at=folder)
    assert ran.code == 78
    assert "--remote" in ran.err
    assert file.read_text(encoding="utf-8") == "{ half a thou"
    laptop.ok("resolve", NOTE, "--remote", at=folder)
    assert value(folder, NOTE)["text"] == "two"
    laptop.ok("restore", NOTE, at=folder)
    assert file.read_text(encoding="utf-8") == "{ half a thou"
    laptop.ok("restore", NOTE, at=folder)
    assert value(folder, NOTE)["text"] == "two"


def test_whatever_was_replaced_or_deleted_can_be_restored(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    assert "replaced" not in laptop.ok("log", at=folder).out.partition("or was replaced")[0]
    for text in ("one", "two", "three"):
        save(folder, NOTE, text=text)
        laptop.ok("sync", at=folder)
    home.write(NOTE, text="four")
    laptop.ok("sync", at=folder)
    (folder / f"{NOTE}.json").unlink()
    laptop.ok("sync", at=folder)
    events = laptop.ok("log", NOTE, "--json", at=folder).lines
    assert [(event["how"], event["side"], event["deed"]) for event in events] == [
        ("pushed", "remote", "deleted"),
        ("pulled", "local", "replaced"),
        ("pushed", "remote", "replaced"),
        ("pushed", "remote", "replaced"),
        ("pushed", "remote", "created"),
    ]
    lines = laptop.ok("log", "-n", "1", at=folder).out.splitlines()
    assert len(lines) == 1
    assert "deleted in the repo" in lines[0]
    laptop.ok("restore", NOTE, at=folder)
    assert value(folder, NOTE)["text"] == "four"
    laptop.ok("sync", at=folder)
    assert home.cid(NOTE) == events[0]["before"]
    laptop.ok("restore", NOTE, "--cid", events[-2]["before"][-10:], at=folder)
    assert value(folder, NOTE)["text"] == "one"
    assert laptop.run("restore", OTHER, at=folder).code == 1
    assert laptop.run("restore", NOTE, "--cid", "nonsense", at=folder).code == 1


def test_a_record_whose_blob_is_gone_waits_until_the_blob_is_there_again(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    file = folder / f"{NOTE}.json"
    home.write(NOTE, text="one", image=upload(home))
    laptop.ok("sync", at=folder)
    cid = home.cid(NOTE)
    file.unlink()
    laptop.ok("sync", at=folder)
    laptop.ok("restore", NOTE, at=folder)
    laptop.ok("sync", at=folder)
    assert home.cid(NOTE) == cid, "it comes back with its blob"
    file.unlink()
    laptop.ok("sync", at=folder)
    shutil.rmtree(folder / "blobs")
    laptop.ok("restore", NOTE, at=folder)
    save(folder, OTHER, text="goes on")
    ran = laptop.run("sync", at=folder)
    assert (ran.code, "BlobNotFound" in ran.out, "upload the blob again" in ran.out) == (
        3,
        True,
        True,
    )
    assert home.cid(OTHER) is not None
    assert value(folder, NOTE)["text"] == "one"
    upload(home)
    file.touch()
    laptop.ok("sync", at=folder)
    assert home.cid(NOTE) == cid


def upload(home: Home) -> Any:  # noqa: ANN401
    with home.pds.client(home.account) as client:
        kind = {"content-type": "image/png"}
        path = "/xrpc/com.atproto.repo.uploadBlob"
        answer = client.post(path, content=b"a picture" * 20, headers=kind)
        return answer.raise_for_status().json()["blob"]


def test_a_running_daemon_carries_out_what_is_resolved_and_restored(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    in_conflict(home, laptop, folder, "was", "theirs")
    with laptop.daemon(folder):
        wait_until(
            lambda: bool(laptop.run("status", "--json", at=folder).json["daemon"]["pid"]), "start"
        )
        laptop.ok("resolve", NOTE, "--merge", at=folder)
        wait_until(lambda: laptop.run("conflicts", at=folder).code == 0, "the merge")
        laptop.ok("restore", NOTE, at=folder)
        wait_until(lambda: home.cid(NOTE) is not None, "the push")


def test_the_brake_says_what_was_about_to_happen_and_both_commands(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    for n in range(4):
        save(folder, f"com.example.note/n{n}", n=n)
    laptop.ok("sync", at=folder)
    shutil.rmtree(folder / "com.example.note")
    assert laptop.run("sync", at=folder).code == 3
    status = laptop.run("status", at=folder)
    assert status.code == 3
    assert "all 4 records of the mirror were deleted in the folder" in status.out
    assert "syncd deletes no more in the repo until you decide" in status.out
    assert "syncd approve" in status.out
    assert "syncd reject" in status.out


@pytest.mark.parametrize("harm", [lambda whole: whole[: len(whole) // 2], lambda _: b"x" * 9999])
def test_a_damaged_state_file_is_rebuilt_without_a_person(
    home: Home, harm: Callable[[bytes], bytes]
) -> None:
    home.write(NOTE, text="one")
    laptop = home.machine()
    folder = home.clone(laptop)
    state = folder / ".syncd" / "state.db"
    state.write_bytes(harm(state.read_bytes()))
    ran = laptop.run("status", at=folder)
    assert ran.code == 78
    assert "syncd sync" in ran.err
    found = laptop.ok("sync", "--json", at=folder).json
    assert (found["adopted"], found["pulled"], found["pushed"]) == (1, 0, 0)
    assert "state.db.damaged-1" in found["told"][0]
    laptop.ok("verify", at=folder)


def test_a_state_file_of_another_folder_is_refused_with_a_way_out(home: Home) -> None:
    home.write(NOTE, text="one")
    laptop = home.machine()
    folder = home.clone(laptop)
    other = laptop.home / "other"
    laptop.ok("clone", home.account.handle, other, *home.place)
    state = folder / ".syncd" / "state.db"
    shutil.copy(other / ".syncd" / "state.db", state)
    (folder / f"{NOTE}.json").unlink()
    ran = laptop.run("sync", at=folder)
    assert ran.code == 78
    assert "belongs to another folder" in ran.err
    assert f"mv {state} {state}.other && syncd -C {folder} sync" in ran.err
    state.rename(f"{state}.other")
    laptop.ok("sync", at=folder)
    assert value(folder, NOTE)["text"] == "one"
    assert home.cid(NOTE) is not None


def test_a_damaged_history_is_found_set_aside_and_still_answers(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    for text in ("one", "two", "three"):
        save(folder, NOTE, text=text)
        laptop.ok("sync", at=folder)
    history = folder / ".syncd" / "history.db"
    whole = history.read_bytes()
    assert whole.count(b"ctwo") == 1
    history.write_bytes(whole.replace(b"ctwo", b"ctvo"))
    ran = laptop.run("verify", at=folder)
    assert ran.code == 3
    assert "syncd log" in ran.out
    ran = laptop.run("log", "--json", at=folder)
    assert "history.db.damaged-1" in ran.err
    assert [event["origin"] is not None for event in ran.lines].count(True) == 1
    laptop.ok("verify", at=folder)


def vim() -> str:
    found = next((path for name in VIM if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("this test drives a real editor: install vim (apt install vim-tiny)")
    return found


def test_a_conflict_is_resolved_in_a_real_editor_on_a_real_terminal(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    in_conflict(home, laptop, folder, "mine", "theirs")
    environ = {**laptop.environment(), "EDITOR": f"{vim()} -u NONE", "TERM": "xterm"}
    keys = rb":g/^\(<<<<<<<\|=======\|>>>>>>>\)/d" + b"\r:g/mine/d\r:wq\r"
    code, shown = on_a_terminal(laptop.command("resolve", NOTE, "--edit"), folder, environ, keys)
    assert code == 0, shown
    assert b"<<<<<<< folder" in shown
    assert value(folder, NOTE) == {"$type": "com.example.note", "text": "theirs", "a": 2, "b": 2}
    laptop.ok("verify", at=folder)


def on_a_terminal(
    command: list[str], at: Path, environ: dict[str, str], keys: bytes
) -> tuple[int, bytes]:
    """Run `command` on a terminal of its own, type `keys` once it shows a mark, and wait."""
    ours, theirs = pty.openpty()
    process = warm.Process[bytes](
        command, cwd=at, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown, is_typed, deadline = b"", False, time.monotonic() + 180
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:
                    break
            elif not is_typed and b">>>>>>> repo" in shown:
                os.write(ours, keys)
                is_typed = True
            elif process.poll() is not None:
                break
        return process.wait(timeout=300), shown
    finally:
        process.kill()
        os.close(ours)
