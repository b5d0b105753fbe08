"""The harness itself: if these fail, no other test against the reference PDS means anything."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from .pds import HTTP_SECONDS, ReferencePds, StartError, is_free

GONE_SECONDS = 10.0

ORPHAN = """
import os, sys
from pathlib import Path
from {module} import ReferencePds

pds = ReferencePds.start(Path(sys.argv[1]))
print(pds.url, flush=True)
if {frozen}:
    pds.pause()
os.kill(os.getpid(), 9)
"""


def get(url: str, **params: str) -> httpx.Response:
    return httpx.get(url, params=params, trust_env=False, verify=False, timeout=HTTP_SECONDS)


def test_the_server_is_the_version_the_facts_were_observed_on(reference_pds: ReferencePds) -> None:
    assert get(f"{reference_pds.url}/xrpc/_health").json() == {"version": "0.5.35"}


def test_the_did_of_a_new_account_resolves_to_its_pds_and_handle(
    reference_pds: ReferencePds,
) -> None:
    account = reference_pds.create_account("alice")
    document = get(f"{reference_pds.plc_url}/{account.did}").json()
    assert document["id"] == account.did
    assert document["alsoKnownAs"] == [f"at://{account.handle}"]
    assert document["service"][0]["serviceEndpoint"] == reference_pds.url


def test_the_app_password_logs_in_and_a_record_written_is_read_back(
    reference_pds: ReferencePds,
) -> None:
    account = reference_pds.create_account()
    login = {"identifier": account.handle, "password": account.password}
    xrpc = f"{reference_pds.url}/xrpc/com.atproto"
    session = httpx.post(
        f"{xrpc}.server.createSession",
        json=login,
        trust_env=False,
        verify=False,
        timeout=HTTP_SECONDS,
    ).json()
    record = {"$type": "com.example.note", "text": "hello"}
    with httpx.Client(
        headers={"Authorization": f"Bearer {session['accessJwt']}"}, timeout=HTTP_SECONDS
    ) as client:
        place = {"repo": account.did, "collection": "com.example.note", "rkey": "first"}
        put = client.post(f"{xrpc}.repo.putRecord", json={**place, "record": record})
    read = get(f"{xrpc}.repo.getRecord", **place).json()
    assert read["value"] == record
    assert read["cid"] == put.json()["cid"]


def test_accounts_and_their_dids_survive_a_crash_and_a_restart(tmp_path: Path) -> None:
    with ReferencePds.start(tmp_path) as pds:
        account, url = pds.create_account(), pds.url
        pds.kill()
        pds.restart()
        assert pds.url == url
        assert get(f"{pds.plc_url}/{account.did}").json()["id"] == account.did
        pds.client(account).close()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="ended before it was ready: Must provide a JWT secret"):
        ReferencePds.start(tmp_path, env={"PDS_JWT_SECRET": ""})


@pytest.mark.parametrize("frozen", [False, True])
def test_the_server_dies_with_the_process_that_started_it(tmp_path: Path, frozen: bool) -> None:
    script = ORPHAN.format(module=ReferencePds.__module__, frozen=frozen)
    command = [sys.executable, "-c", script, str(tmp_path)]
    parent = subprocess.run(
        command, cwd=root_of_imports(), stdout=subprocess.PIPE, text=True, check=False
    )
    assert parent.returncode == -9
    port = httpx.URL(parent.stdout.strip()).port
    assert port is not None
    wait_until_free(port)


def root_of_imports() -> Path:
    """The directory from which Python finds this package under the name pytest gave it."""
    return Path(__file__).parents[__name__.count(".")]


def wait_until_free(port: int) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while not is_free(port):
        assert time.monotonic() < deadline, f"something still listens on port {port}"
        time.sleep(0.05)
