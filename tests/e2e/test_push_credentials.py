"""Credentials that are wrong or revoked, as a person meets them: exit code, phase, way back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.contract.rungs import ReferenceRung
from tests.rigs.home import Home
from tests.rigs.machine import Machine, configure, save, wait_until

MINE, OTHER, THEIRS = (f"com.example.note/{rkey}" for rkey in ("mine", "other", "theirs"))
LONG_SECONDS = 60.0


def kept(machine: Machine, suffix: str) -> Path:
    (file,) = (machine.home / ".local/state/syncd/credentials").glob(f"*.{suffix}")
    return file


def expire(home: Home, machine: Machine) -> None:
    """The access token's two hours are over."""
    file = kept(machine, "session")
    session = json.loads(file.read_text())
    session["access"] = ReferenceRung(home.pds).expired(session["did"])
    file.write_text(json.dumps(session))


def post(home: Home, method: str, **body: str) -> dict[str, str]:
    """The owner, logged in with the main password, calls com.atproto.server.`method`."""
    with home.pds.client(home.account) as client:
        answer = client.post(f"/xrpc/com.atproto.server.{method}", json=body)
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}


def revoke(home: Home, machine: Machine) -> None:
    """The owner revokes syncd's app password, and with it the refresh token."""
    post(home, "revokeAppPassword", name="syncd")
    expire(home, machine)


def mistake(home: Home, machine: Machine) -> None:
    """The password that is kept is another one, and there is no session."""
    file = kept(machine, "password")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"password": "aaaa-bbbb-cccc-dddd"}))
    kept(machine, "session").unlink()


def forget(home: Home, machine: Machine) -> None:
    """There is nothing left to log in with."""
    kept(machine, "password").unlink()
    kept(machine, "session").unlink()


LOCK_OUTS = [revoke, mistake, forget]


@pytest.mark.parametrize("lock_out", LOCK_OUTS, ids=lambda way: way.__name__)
def test_sync_ends_with_77_and_has_pulled_all_the_same(
    home: Home, lock_out: Callable[[Home, Machine], None]
) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    lock_out(home, laptop)
    save(folder, MINE, text="mine")
    home.write(THEIRS, text="theirs")
    for turn in range(2):
        ran = laptop.run("sync", at=folder)
        assert ran.code == 77, ran
        assert "syncd login" in ran.err or "app password" in ran.err
        assert ("pulled    " + THEIRS in ran.out) is (turn == 0)
        assert "1 change could not be sent" in ran.out
        assert "nothing to do" not in ran.out
    assert home.cid(MINE) is None
    # Who looks later hears of it, too, although nothing runs.
    status = laptop.run("status", "--json", at=folder)
    assert (status.code, status.json["needs_a_person"]) == (3, True)
    assert status.json["last_cycle"]["refused"]["message"] in ran.err
    assert laptop.run("doctor", at=folder).code == 1
    log_in(home, laptop)
    assert "pushed    " + MINE in laptop.ok("sync", at=folder).out
    assert home.cid(MINE) is not None


def log_in(home: Home, machine: Machine) -> None:
    """A new app password, given to `syncd login`."""
    name = f"again-{os.urandom(4).hex()}"
    password = post(home, "createAppPassword", name=name)["password"]
    login = ("login", home.account.handle, "--password-file", "-", *home.place)
    machine.ok(*login, stdin=password)


@pytest.mark.parametrize("lock_out", LOCK_OUTS[:2], ids=lambda way: way.__name__)
def test_a_daemon_is_halted_pulls_and_goes_on_with_a_new_password(
    home: Home, lock_out: Callable[[Home, Machine], None]
) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    configure(folder, "run", poll_seconds=0.3)
    lock_out(home, laptop)

    def phase() -> object:
        return laptop.run("status", "--json", at=folder).json["daemon"]["phase"]

    with laptop.daemon(folder) as daemon:
        daemon.wait_for("watching")
        save(folder, MINE, text="mine")
        wait_until(lambda: phase() == "halted", "the halt", LONG_SECONDS)
        for text in ("theirs", "theirs, edited"):
            home.write(THEIRS, text=text)
            wait_until(partial(is_pulled, folder, text), "a pull", LONG_SECONDS)
            assert phase() == "halted"
        assert home.cid(MINE) is None
        ran = laptop.run("doctor", at=folder)
        assert ran.code == 1
        assert "the daemon is halted" in ran.out
        # Before its second try it names the way to another password first.
        assert "syncd login" in ran.out.partition("the daemon is halted")[2]
        log_in(home, laptop)
        save(folder, OTHER, text="an edit makes it try at once")
        wait_until(lambda: home.cid(OTHER) is not None, "the push of both", LONG_SECONDS)
        wait_until(lambda: home.cid(MINE) is not None, "the push of both", LONG_SECONDS)
        wait_until(lambda: phase() == "idle", "the end of the halt", LONG_SECONDS)
        assert daemon.said().count("next: ") <= 2, "the same refusal is told once"


def is_pulled(folder: Path, text: str) -> bool:
    file = folder / f"{THEIRS}.json"
    return file.exists() and json.loads(file.read_text(encoding="utf-8"))["text"] == text
