"""Answers that say nothing about the record that was sent, over and over, for one record alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from syncd.config import Config
from syncd.errors import PdsError
from syncd.model import RecordPath
from syncd.pds import HttpPds
from tests.chance import IS_STRESS, seeded
from tests.contract.lines import Answer, Line, once
from tests.contract.rungs import ReferenceRung, Rung, SandboxRung, fresh_ground
from tests.contract.test_push_table import no_sleep
from tests.rigs.device import Device

JSON, HTML, TEXT = (
    (("content-type", kind),) for kind in ("application/json", "text/html", "text/plain")
)
PAGE = b"<!doctype html><title>Attention required</title>"
CUT = b'{"uri":"at://did:plc:x/com.exam'
TO_A_LOGIN = (("location", "https://login.example/?to=x"),)
ANSWERS = {
    "a page with 200": Answer(200, PAGE, HTML),
    "a page with 400": Answer(400, PAGE, HTML),
    "a page with 403": Answer(403, PAGE, HTML),
    "a page with 404": Answer(404, PAGE, HTML),
    "a page with 500": Answer(500, PAGE, HTML),
    "a page with 503": Answer(503, PAGE, HTML),
    "a firewall in text": Answer(403, b"RBAC: access denied", TEXT),
    "a firewall in JSON": Answer(403, b'{"message":"Forbidden"}'),
    "a framework": Answer(403, b'{"status":403,"error":"Access Denied","path":"/xrpc"}'),
    "a proxy's own login": Answer(401, b"no", (*TEXT, ("www-authenticate", "Basic realm=x"))),
    "401 in text": Answer(401, b"Unauthorized", TEXT),
    "407": Answer(407, b""),
    "409 in text": Answer(409, b"Conflict", TEXT),
    "418 in text": Answer(418, b"no", TEXT),
    "451 in JSON": Answer(451, b'{"title":"Unavailable","status":451}'),
    "a page called JSON": Answer(403, PAGE, JSON),
    "a redirect": Answer(302, b"", TO_A_LOGIN),
    "a redirect with a page": Answer(307, PAGE, (*HTML, *TO_A_LOGIN)),
    "not modified": Answer(304, b""),
    "503": Answer(503, b""),
    "503 in JSON": Answer(503, b'{"error":"Unavailable","message":"upstream"}'),
    "502 in text": Answer(502, b"bad gateway", TEXT),
    "no such method": Answer(501, b'{"error":"MethodNotImplemented","message":"no"}'),
    "no such path": Answer(404, b'{"error":"NotFound","message":"Cannot POST"}'),
    "not this method": Answer(405, b'{"error":"MethodNotAllowed","message":"no"}'),
    "200 with nothing": Answer(200, b""),
    "204": Answer(204, b""),
    "400 with nothing": Answer(400, b""),
    "200 cut short": Answer(200, CUT),
    "400 cut short": Answer(400, b'{"error":"InvalidRequest","mess'),
    "200 with an array": Answer(200, b"[1]"),
    "200 with a number": Answer(200, b"7"),
    "200 with text": Answer(200, b"ok", TEXT),
    "200 with an empty object": Answer(200, b"{}"),
    "the connection closed": Answer(),
}
POISON = RecordPath("com.example.note/b-poison")
GOOD = [RecordPath(f"com.example.note/{name}") for name in ("a", "c", "d")]
ACTS = ("create", "update", "delete")


def acts_of(name: str, acts: Sequence[str] = ACTS) -> Sequence[str]:
    """What is tried with an answer: another act each day, and all of them where nobody waits."""
    number = list(ANSWERS).index(name)
    return acts if IS_STRESS else (seeded(number).choice(acts),)


@asynccontextmanager
async def scene(rung: Rung, tmp_path: Path, line: Line) -> AsyncIterator[tuple[Device, Device]]:
    """A laptop on `line`, and a device of the same account on a good line."""
    async with fresh_ground(rung) as ground:
        config = Config(ground.account.did, lexicons="off", brake_records=1000)
        tokens = ground.login.tokens
        async with (
            HttpPds(ground.account, tokens(), transport=line) as pds,
            HttpPds(ground.account, tokens(), transport=Line()) as other,
        ):
            laptop = Device.make(tmp_path / "laptop", ground.account, pds, config)
            laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
            yield laptop, Device.make(tmp_path / "witness", ground.account, other, config)


def for_the_poison(answer: Answer) -> Line:
    line = Line()

    def meddle(request: httpx.Request) -> Answer | None:
        return answer if POISON.partition("/")[2].encode() in request.content else None

    line.meddle = meddle
    return line


async def pushed_around_it(
    rung: Rung, tmp_path: Path, answer: Answer, act: str, *, alone: bool
) -> None:
    line = for_the_poison(answer)
    meddle, line.meddle = line.meddle, lambda _: None
    async with scene(rung, tmp_path, line) as (laptop, witness):
        for path in GOOD if act == "create" else [*GOOD, POISON]:
            laptop.save(path, v=1)
        assert (await laptop.sync()).problems == ()
        line.meddle = meddle
        laptop.mirror.outbox.busy_until = 2_000_000_000 if alone else 0
        for path in GOOD:
            laptop.save(path, v=2)
        if act == "delete":
            laptop.delete(POISON)
        else:
            laptop.save(POISON, v=2)
        pushed: set[RecordPath] = set()
        for _ in range(2):
            report = await laptop.sync()
            pushed |= set(report.pushed)
            assert report.problems == ()
            assert report.conflicts == ()
            assert isinstance(report.halted, PdsError)
        assert pushed == set(GOOD)
        assert report.halted is not None
        is_named = answer.status is not None and answer.body != b"{}"
        assert not is_named or str(answer.status) in report.halted.message
        assert report.halted.hint
        line.meddle = lambda _: None
        report = await laptop.sync()
        assert (report.halted, report.problems, report.conflicts) == (None, (), ())
        await witness.sync()
        assert witness.base() == laptop.base()
        assert witness.has(POISON) == (act != "delete")


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a batch"])
async def test_an_answer_that_says_nothing_of_a_record_makes_it_no_problem(
    sandbox_rung: SandboxRung, tmp_path: Path, name: str, *, alone: bool
) -> None:
    answer = ANSWERS[name]
    # So a PDS says that there was no such record to delete.
    is_right = answer.status == 204 or answer.body == b"{}"
    for act in acts_of(name, ACTS[:2] if is_right else ACTS):
        await pushed_around_it(sandbox_rung, tmp_path / act, answer, act, alone=alone)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["a page with 403", "503", "400 cut short", "a redirect"])
@pytest.mark.parametrize("act", ACTS)
async def test_nor_does_it_on_the_reference_pds(
    reference_rung: ReferenceRung, tmp_path: Path, name: str, act: str
) -> None:
    await pushed_around_it(reference_rung, tmp_path, ANSWERS[name], act, alone=True)


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_write_that_was_carried_out_is_seen_whatever_the_answer_was(
    sandbox_rung: SandboxRung, tmp_path: Path, name: str
) -> None:
    answer = ANSWERS[name]
    for act in acts_of(name):
        line = Line()
        async with scene(sandbox_rung, tmp_path / act, line) as (laptop, witness):
            for v in (1, 2):
                laptop.save(GOOD[0], v=v)
                await laptop.sync()
            if act != "create":
                laptop.save(POISON, v=1)
                await laptop.sync()
            if act == "delete":
                laptop.delete(POISON)
            else:
                laptop.save(POISON, v=2)
            line.meddle = once(replace(answer, is_sent=True))
            line.writes.clear()
            report = await laptop.sync()
            assert (report.problems, report.conflicts) == ((), ())
            assert len(line.writes) == 1
            await witness.sync()
            assert witness.base() == laptop.base()


OTHER = "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq"
COMMIT = '"commit":{"cid":"%s","rev":"%s"}'
LIES = {
    "a rev of the future": COMMIT % (OTHER, "jzzzzzzzzzzzz"),
    "a rev of the past": COMMIT % (OTHER, "2222222222222"),
    "another record": f'"cid":"{OTHER}",' + COMMIT % (OTHER, "3jzfcijpj2z2a"),
    "a key twice": f'"cid":7,"cid":"{OTHER}","cid":"{OTHER}",' + COMMIT % (OTHER, "3jzfcijpj2z2a"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_false_answer_to_a_write_that_was_carried_out_loses_nothing(
    sandbox_rung: SandboxRung, tmp_path: Path, lie: str
) -> None:
    line = Line()
    async with scene(sandbox_rung, tmp_path, line) as (laptop, witness):
        for v in (1, 2):
            laptop.save(POISON, v=v)
            await laptop.sync()
        laptop.save(POISON, v=3)
        line.meddle = once(Answer(200, b"{%s}" % lie.encode(), is_sent=True))
        for path in (None, GOOD[0]):
            if path is not None:
                laptop.save(path, v=1)
            report = await laptop.sync()
            assert (report.problems, report.conflicts) == ((), ())
        await witness.sync()
        assert witness.base() == laptop.base()
        assert [laptop.read(path)["v"] for path in (POISON, GOOD[0])] == [3, 1]
