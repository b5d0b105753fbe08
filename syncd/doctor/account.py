"""Judge the facts about an account: identity, PDS, clock, guards, credentials, budget. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from syncd.backoff import in_words
from syncd.budget import DAY, HOUR, Ledger, limit_in_words
from syncd.doctor.kinds import Finding, found
from syncd.doctor.machine import Complaint
from syncd.model import Account
from syncd.pds.health import Health
from syncd.state.learnt import KnownBody
from syncd.values import dataclass

CLOCK_SECONDS = 30.0
"""The largest harmless difference of two clocks: a token is renewed a minute before it expires."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PDS that answered.

    Attributes:
        health: What it says of itself.
        repo: Why the repo cannot be read, as its status or an error; None if it can.
    """

    url: str
    health: Health
    repo: str | Complaint | None = None


@dataclass(frozen=True, slots=True)
class KnownCredentials:
    """Facts about the credentials of an account, without secrets; times are unix seconds.

    Attributes:
        source: Where the password is; None if there is none.
        made_at: The origin where they were made, None if unknown. They go to no other server.
        has_session: There is a stored session.
        issued_at: When the session was made; None if its token does not say.
        ends_at: When the session can no longer be renewed; None if its token does not say.
        is_app_password: False if the session came from the main password; None if unknown.
    """

    source: str | None
    has_session: bool = False
    issued_at: float | None = None
    ends_at: float | None = None
    is_app_password: bool | None = None
    made_at: str | None = None


def judge_identity(found_now: Account | Complaint, known: Account | None) -> Iterator[Finding]:
    """Compare the account as it resolves now with the account in the state file."""
    match found_now:
        case Complaint(reason, hint):
            yield found("identity.wrong", reason=reason, hint=hint)
        case Account(did, handle, pds, _):
            if known is not None and known.pds != pds:
                yield found("identity.moved", pds=pds, before=known.pds)
            if handle is None:
                yield found("identity.unconfirmed", did=did)
            else:
                yield found("identity.ok", did=did, handle=handle, pds=pds)


def judge_server(server: Server | Complaint, body: KnownBody | None = None) -> Iterator[Finding]:
    """Judge whether the PDS answers, can be read, and has the right time; name its limits.

    `body` is what is known of the bodies that it takes.
    """
    if isinstance(server, Complaint):
        yield found("pds.away", reason=server.reason, hint=server.hint)
        return
    health = server.health
    yield found("pds.ok", pds=server.url, software=_software(health))
    if isinstance(server.repo, Complaint):
        reason = f"syncd cannot read the repo: {server.repo.reason}"
        yield found("pds.away", reason=reason, hint=server.repo.hint)
    elif server.repo is not None:
        yield found("pds.unavailable", status=server.repo)
    yield _name_limits(health, body)
    yield _judge_clock(health.ahead_seconds)


def _software(health: Health) -> str:
    """Say what is known of the software, and what is not."""
    make = health.make or "software that does not name itself"
    version = health.version or "that it does not show"
    headers = f" (its headers say: {health.software})" if health.software else ""
    return f"{make}, version {version}{headers}"


def _name_limits(health: Health, body: KnownBody | None) -> Finding:
    limit, blob = health.limit, health.blob_bytes
    seen = "not known yet: learnt from the first that the PDS refuses as too large"
    if body is not None and body.refused is not None:
        seen = f"the PDS refused {body.refused} bytes and took {body.passed}"
    every = "" if limit is None or limit.window_seconds is None else in_words(limit.window_seconds)
    rate = (
        "" if limit is None else f"{limit.limit} in {every or 'a time that the PDS does not name'}"
    )
    return found(
        "limits.seen",
        body=seen,
        blob="not known: the PDS names none" if blob is None else f"{blob} bytes at most",
        reads=rate or "not known: the answers of the PDS show none",
    )


def _judge_clock(ahead: float | None) -> Finding:
    if ahead is None:
        return found("clock.unknown")
    name = "clock.ok" if abs(ahead) <= CLOCK_SECONDS else "clock.off"
    return found(name, seconds=f"{abs(ahead):.0f}")


def judge_guards(honoured: bool | None, *, read_only: bool, records: bool | None = None) -> Finding:
    """Judge whether the PDS honours swapCommit (`honoured`) and swapRecord (`records`).

    None means that the PDS has not been asked yet.
    """
    if read_only:
        return found("guards.unneeded")
    if honoured is None:
        return found("guards.unknown")
    if honoured and records is False:
        return found("guards.batch")
    return found("guards.ok" if honoured else "guards.ignored")


def judge_credentials(
    keys: KnownCredentials | Complaint | None,
    did: str,
    now: float,
    pds: str | None = None,
    refused: Complaint | None = None,
) -> Finding:
    """Judge the credentials of `did`; `keys` is None for a mirror that needs none.

    `pds` is the origin of the PDS that has the account, None if unknown. `refused` is why the PDS
    took none of them in the last cycle.
    """
    match keys:
        case None:
            return found("credentials.unneeded")
        case _ if refused is not None:
            return found("credentials.refused", reason=refused.reason, hint=refused.hint)
        case Complaint(reason, hint):
            return found("credentials.refused", reason=reason, hint=hint or f"syncd login {did}")
    if keys.made_at is not None and pds is not None and keys.made_at != pds:
        return found("credentials.elsewhere", made_at=keys.made_at, pds=pds, did=did)
    return _judge_keys(keys, did, now)


def _judge_keys(keys: KnownCredentials, did: str, now: float) -> Finding:
    age = _age(keys, now)
    if keys.source is not None and keys.is_app_password is False:
        return found("credentials.main", source=keys.source, did=did)
    if keys.source is not None:
        return found("credentials.ok", source=keys.source, age=age)
    if keys.has_session and (keys.ends_at is None or keys.ends_at > now):
        return found("credentials.session", age=age, did=did)
    return found("credentials.missing", did=did)


def _age(keys: KnownCredentials, now: float) -> str:
    if not keys.has_session:
        return "there is no session yet"
    if keys.issued_at is None:
        return "there is a session"
    return f"syncd renewed the session {in_words(max(0.0, now - keys.issued_at))} ago"


def judge_budget(ledger: Ledger, now: int, at: str) -> Finding:
    """Judge the write budget; `at` is when the next write fits, in RFC 3339."""
    if not ledger.is_counted and ledger.closed_until <= now:
        return found("budget.uncounted")
    if not ledger.fits(1, now):
        return found("budget.spent", at=at)
    hour, day = ledger.left(HOUR, now), ledger.left(DAY, now)
    if own := " and ".join(map(limit_in_words, ledger.own_limits())):
        return found("budget.own", limits=own, hour=hour, day=day)
    return found("budget.ok", hour=hour, day=day)
