"""One save in a real editor is one update of its record: nothing deleted, torn or sent twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from syncd.config import Config
from tests.programs import program
from tests.rigs.desk import NOTE, Desk, at_work, in_a_thread, text_of
from tests.rigs.device import World

from .terminal import type_into

OLD = {"text": "old", "tags": ["a", "b"]}
NEW = {"text": "new", "tags": ["a", "b"]}

Save = Callable[[Desk], Awaitable[None]]
"""Puts "new" in the place of "old" in the file of NOTE, and saves it once."""


async def saved_once(world: World, save: Save, *names: str) -> None:
    """Let `save` change a note that is in the repo; `names` must have been in its directory."""
    await world.write(NOTE, **OLD)
    async with at_work(world) as desk:
        await desk.until(lambda: desk.file().exists(), "the first pull")
        await desk.rest()
        desk.file().write_text(text_of(NOTE, **OLD))
        await desk.rest()
        await save(desk)
        await desk.until_pushed(NEW)
        assert [(op.action, op.path) for op in desk.ops] == [("update", NOTE)]
        assert set(names) <= desk.names.met
        assert desk.device.mirror.state.waiting() == ()


@pytest.mark.parametrize("copy", ["yes", "no", "auto"])
@pytest.mark.parametrize("backup", ["backup", "nobackup"])
async def test_vim(world: World, copy: str, backup: str) -> None:
    async def save(desk: Desk) -> None:
        # By default vim makes no backup of what lies in /tmp.
        options = f"set nocompatible backupskip= backupcopy={copy} {backup} writebackup undofile"
        command = (program("vim"), "-u", "NONE", "-i", "NONE", "-es", desk.file())
        await desk.run(*command, "-c", options, "-c", "%s/old/new/", "-c", "wq")

    await saved_once(world, save, "one.json~", *(["4913"] if copy == "auto" else []))


@pytest.mark.parametrize("backup", ["backup", "nobackup"])
async def test_vim_on_a_markdown_file(world: World, backup: str) -> None:
    config = Config(world.login.did, markdown=((NOTE.partition("/")[0], (("text",),)),))
    await world.write(NOTE, text="old\n", tags=["a"])
    async with at_work(world, config=config) as desk:
        await desk.until(lambda: desk.file().exists(), "the first pull")
        assert desk.file().name == "one.md"
        await desk.rest()
        options = f"set nocompatible backupskip= {backup} writebackup undofile"
        command = (program("vim"), "-u", "NONE", "-i", "NONE", "-es", desk.file())
        await desk.run(*command, "-c", options, "-c", "%s/old/new/", "-c", "wq")
        await desk.until_pushed({"text": "new\n", "tags": ["a"]})
        assert [(op.action, op.path) for op in desk.ops] == [("update", NOTE)]
        assert desk.device.mirror.state.waiting() == ()


async def test_vim_on_a_terminal_with_several_writes_of_the_same_text(world: World) -> None:
    async def save(desk: Desk) -> None:
        command = [program("vim"), "-u", "NONE", "-i", "NONE", "-N", str(desk.file())]
        dialogue = [(b'"old"', b":%s/old/new/\r:w\r:sleep 400m\r:w\r:w\r:wq\r")]
        await in_a_thread(lambda: type_into(command, desk.root, dialogue))

    await saved_once(world, save, ".one.json.swp")


EMACS = """
(progn
  (setq backup-enable-predicate (lambda (name) t)) ; by default none in /tmp
  (find-file "%s")
  (auto-save-mode 1)
  (while (search-forward "old" nil t) (replace-match "new"))
  (sleep-for 0.6)
  (do-auto-save t)
  (sleep-for 0.6)
  (save-buffer)
  (sleep-for 0.6))
"""


@pytest.mark.parametrize("copying", ["t", "nil"])
async def test_emacs_with_lock_autosave_and_backup(world: World, copying: str) -> None:
    async def save(desk: Desk) -> None:
        await desk.run(
            program("emacs"), "-Q", "--batch", "--eval", f"(setq backup-by-copying {copying})",
            "--eval", EMACS % desk.file(),
        )  # fmt: skip

    await saved_once(world, save, ".#one.json", "#one.json#", "one.json~")


async def test_emacs_on_a_terminal(world: World) -> None:
    async def save(desk: Desk) -> None:
        command = [
            *(program("emacs"), "-Q", "-nw", "--eval"),
            *("(setq backup-enable-predicate (lambda (name) t))", str(desk.file())),
        ]
        dialogue = [
            (b'"old"', b"\x1bxreplace-string\rold\rnew\r"),
            (b"Replaced", b"\x18\x13"),
            (b"Wrote", b"\x18\x03"),
        ]
        await in_a_thread(lambda: type_into(command, desk.root, dialogue))

    await saved_once(world, save, ".#one.json", "one.json~")


@pytest.mark.parametrize("options", [[], ["--backup"]])
async def test_nano_on_a_terminal(world: World, options: list[str]) -> None:
    async def save(desk: Desk) -> None:
        command = [program("nano"), "--ignorercfiles", *options, str(desk.file())]
        dialogue = [
            (b'"old"', b"\x1c"),
            (b"Search", b"old\r"),
            (b"Replace with", b"new\r"),
            (b"instance", b"A"),
            (b"occurrence", b"\x0f"),
            (b"Name", b"\r"),
            (b"Wrote", b"\x18"),
        ]
        await in_a_thread(lambda: type_into(command, desk.root, dialogue))

    await saved_once(world, save, *(["one.json~"] if options else []))


@pytest.mark.parametrize("options", [["-i"], ["-i.bak"]])
async def test_sed(world: World, options: list[str]) -> None:
    async def save(desk: Desk) -> None:
        await desk.run(program("sed"), *options, "s/old/new/", desk.file())

    await saved_once(world, save)


async def test_a_draft_elsewhere_that_is_moved_into_place(world: World) -> None:
    async def save(desk: Desk) -> None:
        draft = desk.root.parent / "draft.json"
        draft.write_text(text_of(NOTE, **NEW))
        await desk.run("mv", draft, desk.file())

    await saved_once(world, save)


@pytest.mark.parametrize("option", ["--times", "--inplace", "--backup", "--delay-updates"])
async def test_rsync(world: World, option: str) -> None:
    async def save(desk: Desk) -> None:
        source = desk.root.parent / "source" / NOTE
        source.parent.mkdir(parents=True)
        source.with_name("one.json").write_text(text_of(NOTE, **NEW))
        target = f"{desk.file().parent}/"
        await desk.run(program("rsync"), "-rc", option, f"{source.parent}/", target)

    await saved_once(world, save)


async def test_tar(world: World) -> None:
    async def save(desk: Desk) -> None:
        source = desk.root.parent / "source" / NOTE
        source.parent.mkdir(parents=True)
        source.with_name("one.json").write_text(text_of(NOTE, **NEW))
        archive = desk.root.parent / "all.tar"
        await desk.run(program("tar"), "-C", source.parents[1], "-cf", archive, source.parent.name)
        await desk.run(program("tar"), "-xf", archive)

    await saved_once(world, save)


async def test_git_checkout(world: World) -> None:
    async def save(desk: Desk) -> None:
        git = (program("git"), "-c", "user.name=x", "-c", "user.email=x@example.com")
        other = desk.root.parent / "other"
        await desk.run(*git, "init", "-q", ".")
        await desk.run(*git, "add", ".")
        await desk.run(*git, "commit", "-qm", "old")
        await desk.run(*git, "clone", "-q", ".", other)
        (other / f"{NOTE}.json").write_text(text_of(NOTE, **NEW))
        await desk.run(*git, "-C", other, "commit", "-qam", "new")
        await desk.run(*git, "fetch", "-q", other, "HEAD:other")
        await desk.run(*git, "checkout", "-q", "other")

    await saved_once(world, save)
