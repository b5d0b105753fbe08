"""Status and error name of every way to call the four writes, on the sandbox and the real PDS."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.rungs import HostRung
from tests.contract.status_rows import (
    APPLY,
    DELETE,
    NO_SUCH_CID,
    PUT,
    ROWS,
    Desk,
    Row,
    op,
)
from tests.contract.words import COLLECTION
from tests.rigs.machine import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def desk(host_rung: HostRung) -> Iterator[Desk]:
    desk = Desk(host_rung)
    yield desk
    desk.client.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method}: {row.what}")
def test_a_write_is_answered_with_this_status_and_error(desk: Desk, row: Row) -> None:
    answer = desk.call(row.method, row.body(desk))
    assert (answer.status_code, answer.json().get("error")) == row.answer


def test_a_stale_swap_is_told_where_the_head_is(desk: Desk) -> None:
    answer = desk.call(APPLY, desk.batch(swapCommit=NO_SUCH_CID))
    assert answer.json()["message"] == f"Commit was at {desk.head()}"


def test_a_wrong_expectation_is_told_what_the_record_is(desk: Desk) -> None:
    rkey = desk.there()
    answer = desk.call(DELETE, desk.place(rkey, swapRecord=NO_SUCH_CID))
    assert answer.json()["message"] == f"Record was at {desk.cid(rkey)}"
    answer = desk.call(PUT, desk.record(desk.new(), swapRecord=NO_SUCH_CID))
    assert answer.json()["message"] == "Record was at null"


def test_results_stand_in_the_order_of_the_writes_and_say_what_each_was(desk: Desk) -> None:
    old, gone, new = desk.there(), desk.there(), desk.new()
    writes = [op("delete", gone), op("create", new), op("update", old)]
    body = desk.call(APPLY, desk.batch(*writes)).json()
    kinds = [result["$type"].partition("#")[2] for result in body["results"]]
    assert kinds == ["deleteResult", "createResult", "updateResult"]
    assert [result.get("uri") for result in body["results"]] == [
        None,
        f"at://{desk.did}/{COLLECTION}/{new}",
        f"at://{desk.did}/{COLLECTION}/{old}",
    ]
    assert [result.get("validationStatus") for result in body["results"]] == [
        None,
        "unknown",
        "unknown",
    ]
    assert body["commit"]["cid"] == desk.head()


@pytest.mark.parametrize("method", [APPLY, PUT, DELETE])
def test_a_write_without_a_token_is_refused(desk: Desk, method: str) -> None:
    url = desk.client.base_url.join(f"/xrpc/com.atproto.repo.{method}")
    answer = httpx.post(
        url, json={"repo": desk.did}, trust_env=False, verify=False, timeout=PATIENCE_SECONDS
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "AuthMissing")


@pytest.mark.parametrize(
    ("headers", "content", "error"),
    [
        ({}, b'{"repo":', "InvalidRequest"),
        ({"content-type": "text/plain"}, b"{}", "InvalidRequest"),
        ({"content-type": "application/json"}, b"", "InvalidRequest"),
        ({"content-type": "application/json"}, b'{"repo":', "SyntaxError"),
        ({"content-type": "application/json"}, b"[]", "InvalidRequest"),
        ({"content-type": "application/json"}, b"1", "SyntaxError"),
    ],
    ids=["no type", "another type", "no body", "half a body", "an array", "a number"],
)
def test_a_body_that_is_not_json_is_refused(
    desk: Desk, headers: dict[str, str], content: bytes, error: str
) -> None:
    url = "/xrpc/com.atproto.repo.putRecord"
    answer = desk.client.post(url, content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
