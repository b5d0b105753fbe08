"""Whose a password or a session is, and where it was made: written down once, and kept to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from syncd.atproto.syntax import Did
from syncd.credentials import Credentials
from syncd.credentials import given as given_module
from syncd.errors import (
    BadSyntax,
    CredentialsElsewhere,
    CredentialsRefused,
    RateLimited,
    SyncdError,
    Unreachable,
)
from syncd.exchange import Session
from tests.credentials.test_store import (
    DID,
    ELSEWHERE,
    HERE,
    PASSWORD,
    SESSION,
    LockedKeyring,
    MemoryKeyring,
    make,
    secret_file,
)

OTHER = Did("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb")


def nobody() -> NoReturn:
    raise AssertionError("the directory was asked, and need not be")


def entries(directory: Path, suffix: str) -> str:
    return (directory / "credentials" / f"{DID}.{suffix}").read_text()


# --- Entries that syncd keeps --------------------------------------------------------------------


@pytest.mark.parametrize("keyring", [None, MemoryKeyring()], ids=["file", "keyring"])
def test_an_entry_says_whose_it_is_and_where_it_was_made(
    tmp_path: Path, keyring: MemoryKeyring | None
) -> None:
    credentials = make(tmp_path, keyring, home=nobody)
    credentials.keep_password(PASSWORD, HERE)
    credentials.keep(SESSION, PASSWORD)
    text = entries(tmp_path, "password") if keyring is None else keyring.kept["syncd", DID]
    assert json.loads(text) == {"did": DID, "origin": HERE, "password": PASSWORD}
    assert json.loads(entries(tmp_path, "session"))["origin"] == HERE
    again = make(tmp_path, keyring, home=nobody)
    assert again.password(HERE) == PASSWORD
    assert again.load() == SESSION
    assert again.made_at() == HERE
    with pytest.raises(CredentialsElsewhere) as caught:
        again.password(ELSEWHERE)
    assert (caught.value.made_at, caught.value.asked) == (HERE, ELSEWHERE)
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"


def test_a_session_alone_is_reason_enough_to_say_where_the_credentials_are_from(
    tmp_path: Path,
) -> None:
    credentials = make(tmp_path, home=nobody)
    credentials.keep(SESSION)
    assert credentials.password(HERE) is None
    with pytest.raises(CredentialsElsewhere):
        credentials.password(ELSEWHERE)


@pytest.mark.parametrize(
    "entry",
    [
        {"did": OTHER, "origin": HERE, "password": PASSWORD},
        {"did": DID, "origin": 1, "password": PASSWORD},
        {"did": DID, "origin": "https://PDS.example.com", "password": PASSWORD},
        {"did": DID, "origin": f"{HERE}:443", "password": PASSWORD},
        {"did": DID, "origin": f"{HERE}/", "password": PASSWORD},
        {"did": DID, "origin": "ftp://pds.example.com", "password": PASSWORD},
        {"did": DID, "origin": None, "password": PASSWORD},
        {"did": DID, "origin": HERE, "password": ""},
        {"did": DID, "password": PASSWORD},
    ],
)
@pytest.mark.parametrize("place", ["keyring", "file"])
def test_an_entry_that_is_damaged_or_another_account_s_is_no_password(
    tmp_path: Path, entry: dict[str, object], place: str
) -> None:
    keyring = MemoryKeyring() if place == "keyring" else None
    if keyring is not None:
        keyring.kept["syncd", DID] = json.dumps(entry)
    else:
        (tmp_path / "credentials").mkdir()
        secret_file(tmp_path / "credentials" / f"{DID}.password", json.dumps(entry))
    assert make(tmp_path, keyring, home=nobody).password(HERE) is None


def test_a_cut_entry_is_not_sent_as_if_it_were_a_password(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    whole = json.dumps({"did": DID, "origin": HERE, "password": PASSWORD})
    for end in range(len('{"did": '), len(whole)):
        keyring.kept["syncd", DID] = whole[:end]
        assert make(tmp_path, keyring, home=nobody).password(HERE) is None


@pytest.mark.parametrize("origin", ["https://PDS.example.com", "nonsense", 1, ""])
def test_a_session_with_a_damaged_origin_is_no_session(tmp_path: Path, origin: object) -> None:
    credentials = make(tmp_path, home=nobody)
    credentials.keep(SESSION)
    file = tmp_path / "credentials" / f"{DID}.session"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"origin": origin}))
    assert credentials.load() is None


# --- Entries of an older syncd -------------------------------------------------------------------


def old_session(directory: Path) -> None:
    fields = {"did": DID, "access": "opaque", "refresh": "opaque-too"}
    (directory / "credentials").mkdir(exist_ok=True)
    secret_file(directory / "credentials" / f"{DID}.session", json.dumps(fields))


@pytest.mark.parametrize("place", ["keyring", "file"])
def test_a_plain_password_is_read_bound_to_the_document_s_pds_and_written_anew(
    tmp_path: Path, place: str
) -> None:
    keyring = MemoryKeyring() if place == "keyring" else None
    if keyring is not None:
        keyring.kept["syncd", DID] = PASSWORD
    else:
        (tmp_path / "credentials").mkdir()
        secret_file(tmp_path / "credentials" / f"{DID}.password")
    with pytest.raises(CredentialsElsewhere):
        make(tmp_path, keyring).password(ELSEWHERE)
    moved = make(tmp_path, keyring, home=lambda: ELSEWHERE)
    assert moved.password(HERE) == PASSWORD
    with pytest.raises(CredentialsElsewhere):
        moved.password(ELSEWHERE)


def test_a_named_pds_says_nothing_of_old_entries(tmp_path: Path) -> None:
    """They were made by a login, and that one knew where; what is named now may be another."""
    (tmp_path / "credentials").mkdir()
    secret_file(tmp_path / "credentials" / f"{DID}.password")
    old_session(tmp_path)
    credentials = make(tmp_path, pds=ELSEWHERE)
    with pytest.raises(CredentialsElsewhere):
        credentials.password(ELSEWHERE)
    session = credentials.load()
    assert session is not None
    assert session.origin == HERE


@pytest.mark.parametrize(
    "error", [Unreachable("away"), RateLimited("wait", retry_seconds=1), BadSyntax("odd")]
)
def test_what_cannot_be_placed_is_kept_and_not_sent(tmp_path: Path, error: SyncdError) -> None:
    (tmp_path / "credentials").mkdir()
    secret_file(tmp_path / "credentials" / f"{DID}.password")
    old_session(tmp_path)

    def away() -> str:
        raise error

    credentials = make(tmp_path, home=away)
    expected = CredentialsRefused if isinstance(error, BadSyntax) else type(error)
    with pytest.raises(expected):
        credentials.load()
    with pytest.raises(expected):
        credentials.password(HERE)
    assert make(tmp_path).password(HERE) == PASSWORD, "once somebody answers, it is"


def test_an_old_entry_in_a_keyring_that_cannot_be_written_is_asked_for_again(
    tmp_path: Path,
) -> None:
    class ReadOnly(LockedKeyring):
        def get_password(self, service: str, username: str, /) -> str | None:
            return PASSWORD

    for _ in range(2):
        assert make(tmp_path, ReadOnly()).password(HERE) == PASSWORD


@pytest.mark.parametrize(
    "home", [f"{HERE}:443", f"{HERE}/", HERE.upper().replace("HTTPS", "https")]
)
def test_a_document_s_spelling_of_its_pds_does_not_matter(tmp_path: Path, home: str) -> None:
    (tmp_path / "credentials").mkdir()
    secret_file(tmp_path / "credentials" / f"{DID}.password")
    assert make(tmp_path, home=lambda: home).password(HERE) == PASSWORD


# --- Passwords that are given --------------------------------------------------------------------


def given(directory: Path, did: Did = DID, **options: Any) -> Credentials:  # noqa: ANN401
    environ = {"SYNCD_PASSWORD": PASSWORD}
    return make(directory, environ=environ, did=did, **options)


def test_a_given_password_is_for_the_named_pds_before_the_document_s(tmp_path: Path) -> None:
    assert given(tmp_path, pds=ELSEWHERE, home=nobody).password(ELSEWHERE) == PASSWORD
    with pytest.raises(CredentialsElsewhere):
        given(tmp_path, pds=ELSEWHERE, home=nobody).password(HERE)
    assert given(tmp_path).password(HERE) == PASSWORD, "a look alone binds nothing"


def test_the_login_that_took_a_given_password_binds_it(tmp_path: Path) -> None:
    given(tmp_path).keep(SESSION, PASSWORD)
    for credentials in (given(tmp_path, pds=ELSEWHERE), given(tmp_path, home=lambda: ELSEWHERE)):
        assert credentials.password(HERE) == PASSWORD
        with pytest.raises(CredentialsElsewhere):
            credentials.password(ELSEWHERE)


def test_another_password_in_the_same_place_is_not_bound(tmp_path: Path) -> None:
    given(tmp_path).keep(SESSION, "the one before")
    assert given(tmp_path, pds=ELSEWHERE).password(ELSEWHERE) == PASSWORD


def test_a_password_that_another_account_gave_is_for_that_account_alone(tmp_path: Path) -> None:
    make(tmp_path, did=OTHER).keep(Session(OTHER, "a", "r", HERE), PASSWORD)
    for origin in (HERE, ELSEWHERE):
        with pytest.raises(CredentialsRefused) as caught:
            given(tmp_path, pds=origin, home=nobody).password(origin)
        assert OTHER in caught.value.message
    given(tmp_path).keep(SESSION, PASSWORD)
    assert given(tmp_path).password(HERE) == PASSWORD, "unless a login of this one took it too"


def test_a_kept_password_is_used_where_a_given_one_is_for_elsewhere(tmp_path: Path) -> None:
    given(tmp_path).keep(Session(DID, "a", "r", ELSEWHERE), PASSWORD)
    given(tmp_path).keep_password("the new one", HERE)
    assert given(tmp_path).password(HERE) == "the new one"


def test_what_is_remembered_of_a_given_password_does_not_hold_it_and_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given_module, "KEPT", 3)
    for number in range(5):
        given(tmp_path).keep(SESSION, f"{PASSWORD}-{number}")
    noted = entries(tmp_path, "given")
    assert PASSWORD not in noted
    assert len(json.loads(noted)["origins"]) == 3
    given(tmp_path).keep(SESSION, f"{PASSWORD}-4")
    assert entries(tmp_path, "given") == noted


@pytest.mark.parametrize("text", ["", "{", "[]", '{"did": 1}', '{"did": "d", "salt": "s"}'])
def test_a_damaged_memory_of_given_passwords_is_none(tmp_path: Path, text: str) -> None:
    given(tmp_path).keep(SESSION, PASSWORD)
    (tmp_path / "credentials" / f"{DID}.given").write_text(text)
    assert given(tmp_path, pds=ELSEWHERE).password(ELSEWHERE) == PASSWORD
    given(tmp_path).keep(SESSION, PASSWORD)
    with pytest.raises(CredentialsElsewhere):
        given(tmp_path, pds=ELSEWHERE).password(ELSEWHERE)
