"""A password and a session go where they were made, whatever names another server."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from syncd.sandbox.http.server import start
from tests.rigs.lured import NOTE, Lured, home, mirror
from tests.rigs.machine import PATIENCE_SECONDS

__all__ = ["home", "mirror"]


def test_a_server_that_is_given_a_secret_is_seen_to_have_it(home: Lured) -> None:
    """So none of the tests below is blind. To log in there is what a person asked for."""
    home.log_in("--pds", home.hostile.url)
    assert home.hostile.learned(home.login.password) == [home.login.password]
    home.ok("logout", home.did)
    assert home.hostile.writes[-1].endswith("deleteSession")
    assert b"authorization: bearer r\n" in home.hostile.heard.lower()


# --- What names another server -------------------------------------------------------------------


def by_pds_in_the_settings(home: Lured, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configure(pds=home.hostile.url)


def by_the_directory_in_the_settings(home: Lured, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configure(plc=home.hostile.url)
    monkeypatch.delenv("SYNCD_PLC_URL")


def by_the_environment(home: Lured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_PDS", home.hostile.url)


def by_the_did_document(home: Lured, monkeypatch: pytest.MonkeyPatch) -> None:
    home.directory.place = home.hostile.url


WAYS: list[Callable[[Lured, pytest.MonkeyPatch], None]] = [
    by_pds_in_the_settings,
    by_the_directory_in_the_settings,
    by_the_environment,
    by_the_did_document,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_another_server_gets_neither_token_nor_password_and_is_only_read(
    mirror: Lured,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Lured, pytest.MonkeyPatch], None],
) -> None:
    way(mirror, monkeypatch)
    mirror.edit()
    mirror.write_remotely("theirs")
    for _ in range(2):
        mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    assert (mirror.root / NOTE / "theirs.json").exists(), "public reads go on"
    assert mirror.hostile.requests
    mirror.assert_nothing_was_learned()
    assert f"{NOTE}/mine" not in mirror.records()


def without_session(home: Lured) -> None:
    next(home.kept.glob("*.session")).unlink()


def without_password(home: Lured) -> None:
    next(home.kept.glob("*.password")).unlink()


@pytest.mark.parametrize("lack", [without_session, without_password], ids=lambda f: f.__name__)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_neither_alone_is_sent_elsewhere(
    mirror: Lured,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Lured, pytest.MonkeyPatch], None],
    lack: Callable[[Lured], None],
) -> None:
    lack(mirror)
    way(mirror, monkeypatch)
    mirror.edit()
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.assert_nothing_was_learned()


def test_a_clone_that_names_another_server_pushes_nothing_to_it(mirror: Lured) -> None:
    other = mirror.home / "other"
    (other / NOTE).mkdir(parents=True)
    (other / NOTE / "more.json").write_text('{"text": "more"}')
    ran = mirror.run(
        "clone", mirror.did, str(other), "--adopt", "--yes", "--pds", mirror.hostile.url
    )
    mirror.assert_halted(ran, mirror.honest.url, mirror.hostile.url)
    mirror.assert_nothing_was_learned()


def test_two_mirrors_of_one_account_at_two_servers_share_no_credentials(mirror: Lured) -> None:
    """The second is only read; the first goes on as if there were no second."""
    other = mirror.home / "other"
    mirror.ok("clone", mirror.did, str(other), "--pds", mirror.hostile.url)
    (other / NOTE / "more.json").write_text('{"text": "more"}')
    mirror.edit()
    ran = mirror.run("-C", str(other), "sync")
    mirror.assert_halted(ran, mirror.honest.url, mirror.hostile.url)
    assert mirror.sync().exit_code == 0
    assert f"{NOTE}/mine" in mirror.records()
    mirror.assert_nothing_was_learned()


def test_the_same_origin_in_another_spelling_is_the_same(mirror: Lured) -> None:
    mirror.configure(pds=mirror.honest.url.upper().replace("HTTP", "http") + "/")
    mirror.edit()
    assert mirror.sync().exit_code == 0
    assert f"{NOTE}/mine" in mirror.records()


def test_another_name_of_the_same_machine_is_another_origin(mirror: Lured) -> None:
    url = mirror.hostile.url.replace("127.0.0.1", "localhost")
    mirror.configure(pds=url)
    mirror.edit()
    mirror.assert_halted(mirror.sync(), mirror.honest.url, url)
    mirror.assert_nothing_was_learned()


# --- Accounts, machines --------------------------------------------------------------------------


def test_two_accounts_on_one_machine_keep_to_their_own_servers(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the settings names an account of somebody else, who owns its server."""
    theirs = mirror.sandbox.create_account("mallory")
    other = mirror.home / "other"
    monkeypatch.setenv("SYNCD_PASSWORD_FILE", str(mirror.home / "app-password"))
    mirror.ok("clone", theirs.did, str(other), "--read-only", "--pds", mirror.hostile.url)
    text = (other / "syncd.toml").read_text().replace("read_only = true\n", "")
    (other / "syncd.toml").write_text(text)
    (other / NOTE).mkdir()
    (other / NOTE / "mine.json").write_text("{}")
    mirror.directory.place = mirror.hostile.url
    for _ in range(2):
        ran = mirror.run("-C", str(other), "sync")
        assert ran.exit_code == 77, ran.output
        assert f"syncd login {theirs.did}" in ran.output
    mirror.assert_nothing_was_learned()


def test_session_files_that_were_copied_to_another_machine_keep_their_origin(
    mirror: Lured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "syncd").mkdir(parents=True)
    subprocess.run(["cp", "-a", mirror.kept, elsewhere / "syncd" / "credentials"], check=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(elsewhere))
    mirror.configure(pds=mirror.hostile.url)
    mirror.edit()
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.configure()
    assert mirror.sync().exit_code == 0
    mirror.assert_nothing_was_learned()


# --- Entries of an older syncd -------------------------------------------------------------------


def age(home: Lured, *, audience: str | None = None) -> None:
    """Rewrite what is kept as an older syncd did; its token names `audience`."""
    file = next(home.kept.glob("*.session"))
    fields = json.loads(file.read_text())
    del fields["origin"]
    if audience is not None:
        fields["access"] = token_for(audience)
    file.write_text(json.dumps(fields))
    file = next(home.kept.glob("*.password"))
    file.write_text(json.loads(file.read_text())["password"] + "\n")
    for given in home.kept.glob("*.given"):
        given.unlink()
    home.note_secrets()


def token_for(audience: str) -> str:
    parts = ({"alg": "HS256"}, {"aud": audience, "scope": "com.atproto.appPass"})
    coded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, "signature"])


def web_did(url: str) -> str:
    return "did:web:" + url.removeprefix("http://").replace(":", "%3A")


@pytest.mark.parametrize("has_audience", [True, False])
@pytest.mark.parametrize("way", WAYS[:3], ids=lambda way: way.__name__)
def test_old_entries_belong_to_the_audience_of_the_token_or_to_the_pds_of_the_document(
    mirror: Lured,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Lured, pytest.MonkeyPatch], None],
    has_audience: bool,
) -> None:
    age(mirror, audience=web_did(mirror.honest.url) if has_audience else None)
    plc = os.environ["SYNCD_PLC_URL"]
    way(mirror, monkeypatch)
    monkeypatch.setenv("SYNCD_PLC_URL", os.environ.get("SYNCD_PLC_URL", ""))
    if way is by_the_directory_in_the_settings:
        monkeypatch.setattr("syncd.mirror.credentials.DEFAULT_PLC", plc)
    mirror.edit()
    for _ in range(2):
        mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.assert_nothing_was_learned()
    for name in ("session", "password"):
        text = next(mirror.kept.glob(f"*.{name}")).read_text()
        assert json.loads(text)["origin"] == mirror.honest.url, "and that is written down"


def test_an_old_entry_that_was_bound_once_does_not_follow_a_later_document(mirror: Lured) -> None:
    age(mirror)
    mirror.edit()
    assert mirror.sync().exit_code == 0
    mirror.directory.place = mirror.hostile.url
    mirror.edit()
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.assert_nothing_was_learned()


def test_the_audience_of_an_old_token_counts_more_than_the_document(mirror: Lured) -> None:
    age(mirror, audience=web_did(mirror.honest.url))
    mirror.directory.place = mirror.hostile.url
    mirror.edit()
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.assert_nothing_was_learned()


# --- Passwords that are given --------------------------------------------------------------------

GIVEN = ["SYNCD_PASSWORD", "SYNCD_PASSWORD_FILE", "CREDENTIALS_DIRECTORY"]


def give(home: Lured, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this knows the password: nothing is kept."""
    for file in home.kept.glob("*"):
        file.unlink()
    file = home.home / "given" / "syncd-password"
    file.parent.mkdir(exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(home.login.password)
    values = {"SYNCD_PASSWORD": home.login.password, "SYNCD_PASSWORD_FILE": str(file)}
    monkeypatch.setenv(variable, values.get(variable, str(file.parent)))
    home.secrets.add(home.login.password)


@pytest.mark.parametrize("variable", GIVEN)
def test_a_given_password_goes_to_the_pds_of_the_document_and_to_no_other(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    give(mirror, variable, monkeypatch)
    mirror.configure(pds=mirror.hostile.url)
    mirror.edit()
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.configure()
    assert mirror.sync().exit_code == 0
    assert f"{NOTE}/mine" in mirror.records()
    mirror.assert_nothing_was_learned()


@pytest.mark.parametrize("variable", GIVEN)
def test_a_given_password_is_bound_by_the_first_login_that_took_it(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Later neither the environment nor the DID document can lead it away, nor a lost session."""
    give(mirror, variable, monkeypatch)
    mirror.edit()
    assert mirror.sync().exit_code == 0
    without_session(mirror)
    mirror.edit()
    mirror.directory.place = mirror.hostile.url
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.directory.place = mirror.honest.url
    monkeypatch.setenv("SYNCD_PDS", mirror.hostile.url)
    mirror.assert_halted(mirror.sync(), mirror.honest.url, mirror.hostile.url)
    mirror.assert_nothing_was_learned()


def test_a_given_password_goes_to_the_pds_that_the_environment_names(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(mirror, "SYNCD_PASSWORD", monkeypatch)
    mirror.directory.place = mirror.hostile.url
    mirror.configure(pds=mirror.hostile.url)
    monkeypatch.setenv("SYNCD_PDS", mirror.honest.url)
    mirror.edit()
    assert mirror.sync().exit_code == 0
    assert f"{NOTE}/mine" in mirror.records()
    mirror.assert_nothing_was_learned()


def test_a_given_password_goes_to_the_pds_that_an_argument_names(
    home: Lured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by that alone it is not bound: the next command has to name it again."""
    home.kept.mkdir(parents=True)
    give(home, "SYNCD_PASSWORD", monkeypatch)
    (home.root / NOTE).mkdir(parents=True)
    home.edit()
    home.directory.place = home.hostile.url
    home.ok("clone", home.did, str(home.root), "--adopt", "--yes", "--pds", home.honest.url)
    assert f"{NOTE}/mine" in home.records()
    home.assert_nothing_was_learned()


def test_where_nobody_can_say_whose_it_is_a_given_password_stays_here(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the loopback too, and where the default directory is away."""
    give(mirror, "SYNCD_PASSWORD", monkeypatch)
    mirror.configure(pds=mirror.hostile.url, plc=mirror.hostile.url)
    monkeypatch.delenv("SYNCD_PLC_URL")
    monkeypatch.setattr("syncd.mirror.credentials.DEFAULT_PLC", "http://127.0.0.1:9")
    mirror.edit()
    ran = mirror.sync()
    assert ran.exit_code == 77, ran.output
    assert "SYNCD_PDS" in ran.output
    mirror.assert_nothing_was_learned()


# --- Moves, ends ---------------------------------------------------------------------------------


def test_a_move_takes_one_command(mirror: Lured) -> None:
    with start(mirror.sandbox) as new:
        mirror.directory.place = new.url
        mirror.edit()
        mirror.assert_halted(mirror.sync(), mirror.honest.url, new.url)
        mirror.log_in()
        assert mirror.sync().exit_code == 0
    assert f"{NOTE}/mine" in mirror.records()


def test_a_logout_ends_the_session_where_it_was_made(mirror: Lured) -> None:
    session = json.loads(next(mirror.kept.glob("*.session")).read_text())
    mirror.directory.place = mirror.hostile.url
    mirror.ok("logout", mirror.did, "--pds", mirror.hostile.url)
    mirror.assert_nothing_was_learned()
    url = f"{mirror.honest.url}/xrpc/com.atproto.server.refreshSession"
    headers = {"authorization": f"Bearer {session['refresh']}"}
    assert (
        httpx.post(
            url, headers=headers, trust_env=False, verify=False, timeout=PATIENCE_SECONDS
        ).status_code
        == 400
    )
    assert list(mirror.kept.glob("*.session")) == []
    assert list(mirror.kept.glob("*.given")) == []


def test_a_logout_of_an_old_session_is_not_led_away_either(mirror: Lured) -> None:
    age(mirror)
    mirror.ok("logout", mirror.did, "--pds", mirror.hostile.url)
    mirror.assert_nothing_was_learned()


# --- Who may read what is kept -------------------------------------------------------------------


def modes(top: Path) -> dict[str, int]:
    return {str(p): stat.S_IMODE(p.lstat().st_mode) for p in (top, *top.rglob("*"))}


def assert_closed(top: Path) -> None:
    assert {path for path, mode in modes(top).items() if mode & 0o077} == set()


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_what_is_kept_is_closed_to_others_whatever_the_umask(home: Lured, umask: int) -> None:
    before = os.umask(umask)
    try:
        home.log_in()
        home.ok("clone", home.did, str(home.root))
        home.edit()
        assert home.sync().exit_code == 0
    finally:
        os.umask(before)
    assert_closed(home.home / "state" / "syncd")


@pytest.mark.parametrize("command", ["sync", "run --once", "clone", "login", "logout"])
def test_what_was_open_is_closed_by_the_next_command_that_uses_it(
    mirror: Lured, command: str
) -> None:
    top = mirror.home / "state" / "syncd"
    outside = mirror.home / "outside"
    outside.write_text("not ours")
    outside.chmod(0o666)
    (top / "link").symlink_to(outside)
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    mirror.edit()
    words = {
        "clone": ["clone", mirror.did, str(mirror.home / "other")],
        "login": ["login", mirror.did, "--password-file", str(mirror.home / "app-password")],
        "logout": ["logout", mirror.did],
    }.get(command, ["-C", str(mirror.root), *command.split()])
    ran = mirror.run(*words)
    assert ran.exit_code == 0, ran.output
    assert "other users" in ran.output
    (top / "link").unlink()
    assert_closed(top)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o666
