"""The methods com.atproto.server.* and com.atproto.identity.*: accounts, sessions, names.

Never touches the records of a repo.
"""

from __future__ import annotations

from syncd.atproto.syntax import parse_handle
from syncd.sandbox.accounts import HostedAccount, Status, check_login, did_document
from syncd.sandbox.answer import Answer, empty_answer, invalid, json_answer, unauthorized
from syncd.sandbox.methods.call import CheckedCall, Method
from syncd.sandbox.methods.request import BLOB_BYTES
from syncd.sandbox.sessions import APP, FULL, Pair

DOMAIN = ".test"
_SHORTEST_LABEL = 3


def create_account(call: CheckedCall) -> Answer:
    handle = parse_handle(call.body.text("handle").lower())
    label = handle.removesuffix(DOMAIN)
    if label == handle or "." in label:
        raise invalid("Not a supported handle domain", "UnsupportedDomain")
    if len(label) < _SHORTEST_LABEL:
        raise invalid("Handle too short", "InvalidHandle")
    if call.sandbox.accounts.find(handle) is not None:
        raise invalid(f"Handle already taken: {handle}", "HandleNotAvailable")
    account = call.sandbox.register(handle, call.body.text("email"), call.body.text("password"))
    pair = call.sandbox.sessions.open(account.did, FULL)
    document = did_document(account, call.request.origin)
    return json_answer({**_tokens(pair), **_names(account), "didDoc": document})


def create_session(call: CheckedCall) -> Answer:
    identifier, password = call.body.text("identifier"), call.body.text("password")
    account, found = check_login(call.sandbox.accounts, identifier, password)
    scope = FULL if found.name is None else APP
    pair = call.sandbox.sessions.open(account.did, scope, found.name)
    return json_answer({**_tokens(pair), **_session(account)})


def refresh_session(call: CheckedCall) -> Answer:
    account = call.sandbox.accounts.find(call.caller.did)
    if account is None:
        raise invalid(f"Could not find user info for account: {call.caller.did}")
    if account.status is Status.TAKENDOWN:
        raise unauthorized("Account has been taken down", "AccountTakedown")
    pair = call.sandbox.sessions.rotate(call.caller.jti)
    return json_answer({**_tokens(pair), **_session(account)})


def get_session(call: CheckedCall) -> Answer:
    account = call.sandbox.accounts.find(call.caller.did)
    if account is None or account.status is Status.TAKENDOWN:
        raise invalid(f"Could not find user info for account: {call.caller.did}")
    return json_answer(_session(account))


def delete_session(call: CheckedCall) -> Answer:
    call.sandbox.sessions.close(call.caller.jti)
    return empty_answer()


def create_app_password(call: CheckedCall) -> Answer:
    name = call.body.text("name")
    password = call.sandbox.add_app_password(call.caller.did, name)
    made = call.sandbox.time_text()
    return json_answer({"name": name, "password": password, "createdAt": made, "privileged": False})


def deactivate_account(call: CheckedCall) -> Answer:
    call.sandbox.set_status(call.caller.did, Status.DEACTIVATED)
    return empty_answer()


def activate_account(call: CheckedCall) -> Answer:
    call.sandbox.set_status(call.caller.did, Status.ACTIVE)
    return empty_answer()


def describe_server(_: CheckedCall) -> Answer:
    return json_answer(
        {
            "did": "did:web:localhost",
            "availableUserDomains": [DOMAIN],
            "inviteCodeRequired": False,
            "blobUploadLimit": BLOB_BYTES,
            "links": {},
            "contact": {},
        }
    )


def resolve_handle(call: CheckedCall) -> Answer:
    account = call.sandbox.accounts.find(call.request.required("handle", parse_handle))
    if account is None or not account.is_active:
        raise invalid("Unable to resolve handle", "HandleNotFound")
    return json_answer({"did": account.did})


def _tokens(pair: Pair) -> dict[str, object]:
    return {"accessJwt": pair.access, "refreshJwt": pair.refresh}


def _names(account: HostedAccount) -> dict[str, object]:
    return {"did": account.did, "handle": account.handle}


def _session(account: HostedAccount) -> dict[str, object]:
    status = None if account.is_active else account.status.value
    about = {"email": account.email, "emailConfirmed": False, "active": account.is_active}
    return {**_names(account), **about, "status": status}


METHODS = {
    "com.atproto.server.createAccount": Method("POST", create_account, body="json"),
    "com.atproto.server.createSession": Method("POST", create_session, body="json"),
    "com.atproto.server.refreshSession": Method("POST", refresh_session, "refresh"),
    "com.atproto.server.getSession": Method("GET", get_session, "access"),
    "com.atproto.server.deleteSession": Method("POST", delete_session, "expired"),
    "com.atproto.server.createAppPassword": Method("POST", create_app_password, "full", "json"),
    "com.atproto.server.deactivateAccount": Method("POST", deactivate_account, "full", "json"),
    "com.atproto.server.activateAccount": Method("POST", activate_account, "full"),
    "com.atproto.server.describeServer": Method("GET", describe_server),
    "com.atproto.identity.resolveHandle": Method("GET", resolve_handle),
}
