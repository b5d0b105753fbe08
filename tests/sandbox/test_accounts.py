"""Accounts and sessions, called as a client calls them but without a server in between."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest

from syncd.sandbox import Sandbox, Status
from syncd.sandbox.answer import Answer
from syncd.sandbox.methods.dispatch import dispatch
from syncd.sandbox.methods.request import XrpcRequest
from syncd.sandbox.sessions import ACCESS_SECONDS, GRACE_SECONDS, REFRESH_SECONDS

SERVER = "com.atproto.server"


@dataclass
class World:
    """A sandbox whose clock a test moves."""

    now: float = 1_760_000_000.0

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(clock=lambda: self.now, rng=random.Random(7))

    def post(self, method: str, body: dict[str, Any] | None = None, token: str = "") -> Answer:
        headers = {"content-type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = XrpcRequest("POST", f"{SERVER}.{method}", headers=headers, body=content)
        return dispatch(self.sandbox, request)

    def get_session(self, token: str) -> Answer:
        headers = {"authorization": f"Bearer {token}"}
        return dispatch(self.sandbox, XrpcRequest("GET", f"{SERVER}.getSession", headers=headers))

    def log_in(self, identifier: str, password: str) -> dict[str, Any]:
        answer = self.post("createSession", {"identifier": identifier, "password": password})
        assert answer.status == 200, answer.body
        return read(answer)


@pytest.fixture
def world() -> World:
    return World()


def read(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, read(answer)["error"]


def test_an_account_can_be_made_and_its_app_password_logs_in(world: World) -> None:
    body = {"handle": "Bob.test", "email": "bob@example.com", "password": "hunter2"}
    made = read(world.post("createAccount", body))
    assert made["handle"] == "bob.test"
    assert made["didDoc"]["id"] == made["did"]
    app = read(world.post("createAppPassword", {"name": "syncd"}, made["accessJwt"]))
    assert len(app["password"]) == 19
    for identifier in (made["did"], "bob.test", "BOB.TEST", "bob@example.com"):
        assert world.log_in(identifier, app["password"])["did"] == made["did"]


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        ("alice.test", "HandleNotAvailable"),
        ("al.test", "InvalidHandle"),
        ("bob.example.com", "UnsupportedDomain"),
        ("deep.bob.test", "UnsupportedDomain"),
        ("no dots", "InvalidRequest"),
    ],
)
def test_a_handle_that_will_not_do_is_refused(world: World, handle: str, name: str) -> None:
    world.sandbox.create_account("alice")
    body = {"handle": handle, "email": "x@example.com", "password": "hunter2"}
    assert error(world.post("createAccount", body)) == (400, name)


def test_a_wrong_password_and_a_wrong_name_are_told_apart_by_nothing(world: World) -> None:
    login = world.sandbox.create_account("alice")
    wrong = world.post("createSession", {"identifier": login.did, "password": "x"})
    unknown = world.post("createSession", {"identifier": "bob.test", "password": "x"})
    assert error(wrong) == (401, "AuthenticationRequired")
    assert wrong == unknown


def test_an_app_password_cannot_make_another(world: World) -> None:
    login = world.sandbox.create_account("alice")
    token = world.log_in(login.did, login.password)["accessJwt"]
    assert error(world.post("createAppPassword", {"name": "x"}, token)) == (400, "InvalidToken")


def test_an_access_token_lasts_two_hours(world: World) -> None:
    login = world.sandbox.create_account("alice")
    token = world.log_in(login.did, login.password)["accessJwt"]
    world.now += ACCESS_SECONDS - 1
    assert world.get_session(token).status == 200
    world.now += 1
    assert error(world.get_session(token)) == (400, "ExpiredToken")


def test_a_refresh_token_rotates_and_the_old_one_leads_to_the_same_successor_for_a_while(
    world: World,
) -> None:
    login = world.sandbox.create_account("alice")
    first = world.log_in(login.did, login.password)["refreshJwt"]
    second = read(world.post("refreshSession", None, first))["refreshJwt"]
    again = read(world.post("refreshSession", None, first))["refreshJwt"]
    assert first != second == again
    world.now += GRACE_SECONDS
    assert error(world.post("refreshSession", None, first)) == (400, "ExpiredToken")
    assert world.post("refreshSession", None, second).status == 200
    world.now += REFRESH_SECONDS
    assert error(world.post("refreshSession", None, second)) == (400, "ExpiredToken")


def test_refreshing_takes_no_body_and_no_access_token(world: World) -> None:
    login = world.sandbox.create_account("alice")
    session = world.log_in(login.did, login.password)
    assert error(world.post("refreshSession", {}, session["refreshJwt"])) == (400, "InvalidRequest")
    assert error(world.post("refreshSession", None, session["accessJwt"])) == (400, "InvalidToken")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b"])
def test_a_token_that_nobody_gave_out_is_refused(world: World, token: str) -> None:
    expected = (400, "InvalidToken") if token else (401, "AuthMissing")
    assert error(world.post("refreshSession", None, token)) == expected


def test_a_session_that_was_ended_cannot_be_renewed_but_its_access_token_lives_on(
    world: World,
) -> None:
    login = world.sandbox.create_account("alice")
    session = world.log_in(login.did, login.password)
    assert world.post("deleteSession", None, session["refreshJwt"]).status == 200
    assert error(world.post("refreshSession", None, session["refreshJwt"])) == (400, "ExpiredToken")
    assert world.get_session(session["accessJwt"]).status == 200


def test_a_revoked_app_password_ends_its_sessions_and_no_other(world: World) -> None:
    login = world.sandbox.create_account("alice")
    other = world.sandbox.add_app_password(login.did, "other")
    kept = world.log_in(login.did, other)["refreshJwt"]
    ended = world.log_in(login.did, login.password)["refreshJwt"]
    world.sandbox.remove_app_password(login.did, "syncd")
    assert error(world.post("refreshSession", None, ended)) == (400, "ExpiredToken")
    assert world.post("refreshSession", None, kept).status == 200
    body = {"identifier": login.did, "password": login.password}
    assert error(world.post("createSession", body)) == (401, "AuthenticationRequired")


def test_who_is_deactivated_may_log_in_and_who_is_taken_down_may_not(world: World) -> None:
    login = world.sandbox.create_account("alice")
    world.sandbox.set_status(login.did, Status.DEACTIVATED)
    session = world.log_in(login.did, login.password)
    assert (session["active"], session["status"]) == (False, "deactivated")
    world.sandbox.set_status(login.did, Status.TAKENDOWN)
    body = {"identifier": login.did, "password": login.password}
    assert error(world.post("createSession", body)) == (401, "AccountTakedown")
    assert error(world.get_session(session["accessJwt"])) == (400, "InvalidRequest")
    answer = world.post("refreshSession", None, session["refreshJwt"])
    assert error(answer) == (401, "AccountTakedown")


def test_a_deleted_account_is_unknown_everywhere(world: World) -> None:
    login = world.sandbox.create_account("alice")
    world.sandbox.delete_account(login.did)
    request = XrpcRequest("GET", "com.atproto.sync.getLatestCommit", {"did": (login.did,)})
    assert error(dispatch(world.sandbox, request)) == (400, "RepoNotFound")
    body = {"identifier": login.did, "password": login.password}
    assert error(world.post("createSession", body)) == (401, "AuthenticationRequired")


def test_no_secret_is_shown_by_a_repr(world: World) -> None:
    login = world.sandbox.create_account("alice", password="let-me-in-now-pls")
    account = world.sandbox.accounts.get(login.did)
    pair = world.sandbox.sessions.open(login.did, "com.atproto.access")
    shown = repr((login, account, account.passwords, pair, world.sandbox))
    secrets = (login.password, account.key.secret.hex(), repr(account.key.secret), pair.access)
    assert not [secret for secret in secrets if secret in shown]


def test_the_same_dice_make_the_same_accounts() -> None:
    first, second = World(), World()
    assert first.sandbox.create_account("alice") == second.sandbox.create_account("alice")
    assert (
        first.sandbox.create_account("bob").did != second.sandbox.create_account("carol").password
    )


def test_an_unknown_method_is_not_implemented(world: World) -> None:
    assert error(world.post("noSuchMethod", {})) == (501, "MethodNotImplemented")
