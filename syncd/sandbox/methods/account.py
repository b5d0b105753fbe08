"""The methods com.atproto.server.* and com.atproto.identity.*: accounts, sessions, names.

Never touches the records of a repo.
"""

from __future__ import annotations

from syncd.atproto.syntax import parse_did, parse_handle, parse_nsid
from syncd.errors import BadSyntax
from syncd.sandbox.accounts import HashedPassword, HostedAccount, Status, check_login, did_document
from syncd.sandbox.answer import Answer, empty_answer, invalid, json_answer, unauthorized
from syncd.sandbox.methods.call import CheckedCall, Method
from syncd.sandbox.methods.request import BLOB_BYTES
from syncd.sandbox.sessions import APP, FULL, Pair, sign_service_token

DOMAIN = ".test"
_SHORTEST_LABEL, _LONGEST_LABEL = 3, 18
_MINUTE, _HOUR = 60, 3600
_PRIVILEGED = ("chat.bsky.", "com.atproto.server.createAccount")
PROTECTED_METHODS = frozenset(
    {
        "com.atproto.admin.sendEmail",
        "com.atproto.identity.requestPlcOperationSignature",
        "com.atproto.identity.signPlcOperation",
        "com.atproto.identity.updateHandle",
        "com.atproto.server.activateAccount",
        "com.atproto.server.confirmEmail",
        "com.atproto.server.createAppPassword",
        "com.atproto.server.deactivateAccount",
        "com.atproto.server.getAccountInviteCodes",
        "com.atproto.server.getSession",
        "com.atproto.server.listAppPasswords",
        "com.atproto.server.requestAccountDelete",
        "com.atproto.server.requestEmailConfirmation",
        "com.atproto.server.requestEmailUpdate",
        "com.atproto.server.revokeAppPassword",
        "com.atproto.server.updateEmail",
    }
)
"""Methods of the account's own PDS, for which there is no token of another service."""


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
    made = call.sandbox.accounts.get(call.caller.did).passwords[-1]
    return json_answer({"password": password, **_listed(made)})


def list_app_passwords(call: CheckedCall) -> Answer:
    """Answer the names of the app passwords, the newest first."""
    account = call.sandbox.accounts.get(call.caller.did)
    named = (kept for kept in reversed(account.passwords) if kept.name is not None)
    return json_answer({"passwords": [_listed(password) for password in named]})


def _listed(password: HashedPassword) -> dict[str, object]:
    return {"name": password.name, "createdAt": password.created, "privileged": False}


def revoke_app_password(call: CheckedCall) -> Answer:
    """Revoke an app password, if there is one of that name."""
    call.sandbox.remove_app_password(call.caller.did, call.body.text("name"))
    return empty_answer()


def get_service_auth(call: CheckedCall) -> Answer:
    """Answer a token with which the account calls another service, signed by its key."""
    request, now = call.request, int(call.sandbox.clock())
    audience = request.required("aud", _parse_audience)
    method, expires = request.maybe("lxm", parse_nsid), request.maybe("exp", int)
    _check_service(call, method, expires or now, now)
    claims: dict[str, object] = {
        "iat": now,
        "iss": call.caller.did,
        "aud": audience,
        "exp": expires or now + _MINUTE,
        **({"lxm": method} if method else {}),
        "jti": call.sandbox.token_id(),
    }
    key = call.sandbox.accounts.get(call.caller.did).key
    return json_answer({"token": sign_service_token(claims, key)})


def _parse_audience(text: str) -> str:
    """Read a DID, with or without the ID of a service after it."""
    did, mark, service = text.partition("#")
    if mark and not service:
        raise BadSyntax("aud must be a valid atproto DID or did#serviceId reference")
    parse_did(did)
    return text


def _check_service(call: CheckedCall, method: str | None, expires: int, now: int) -> None:
    """Raise Rejected if no token may be issued for the method, or none for so long."""
    is_private = method is not None and method.startswith(_PRIVILEGED)
    if is_private and call.caller.scope != FULL:
        raise invalid(f"insufficient access to request a service auth token for: {method}")
    if expires < now:
        raise invalid("expiration is in past", "BadExpiration")
    if expires - now > (_HOUR if method else _MINUTE):
        raise invalid("cannot request a token with such an expiration", "BadExpiration")
    if method in PROTECTED_METHODS:
        raise invalid(f"cannot request a service auth token for the protected method: {method}")


def update_handle(call: CheckedCall) -> Answer:
    """Give the account another handle of this server's domain."""
    handle = parse_handle(call.body.text("handle").lower())
    label = handle.removesuffix(DOMAIN)
    if label == handle:
        raise invalid("External handle did not resolve to DID")
    if "." in label or not _SHORTEST_LABEL <= len(label) <= _LONGEST_LABEL:
        raise invalid("Invalid handle", "InvalidHandle")
    owner = call.sandbox.accounts.find(handle)
    if owner is not None and owner.did != call.caller.did:
        raise invalid(f"Handle already taken: {handle}", "HandleNotAvailable")
    call.sandbox.change_handle(call.caller.did, handle)
    return empty_answer()


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
    "com.atproto.server.listAppPasswords": Method("GET", list_app_passwords, "access"),
    "com.atproto.server.revokeAppPassword": Method("POST", revoke_app_password, "access", "json"),
    "com.atproto.server.getServiceAuth": Method("GET", get_service_auth, "access"),
    "com.atproto.server.deactivateAccount": Method("POST", deactivate_account, "full", "json"),
    "com.atproto.server.activateAccount": Method("POST", activate_account, "full"),
    "com.atproto.server.describeServer": Method("GET", describe_server),
    "com.atproto.identity.updateHandle": Method("POST", update_handle, "access", "json"),
    "com.atproto.identity.resolveHandle": Method("GET", resolve_handle),
}
