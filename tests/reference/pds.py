"""Run the reference PDS with a mock PLC directory beside it, and prepare accounts on it.

Talks to the server as an administrator or another client would, and imports nothing from syncd.
Never outlives its parent: the server leaves when its stdin closes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import secrets
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.npm import NODE

from .install import ensure_installed

START = Path(__file__).with_name("start.mjs")
ADMIN_PASSWORD = "admin-password"
MAIN_PASSWORD = "main-password"
READY_SECONDS = 300.0
STOP_SECONDS = 60.0
HTTP_SECONDS = 120.0
TAIL_LINES = 15
# Below what the kernel hands to outgoing connections, so that a port is still free at the restart.
PORTS = range(20_000, 32_000)


class StartError(Exception):
    """The reference PDS did not come up. The message ends with the last lines of its stderr."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the reference PDS; `password` is an app password, as syncd would be given."""

    did: str
    handle: str
    password: str


class ReferencePds:
    """One running reference PDS. Its URLs, accounts and data survive `restart`."""

    def __init__(self, home: Path, data_dir: Path, env: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self.admin_password = ADMIN_PASSWORD
        self._env = make_environment(home, data_dir, env)
        self._tokens: dict[str, str] = {}
        self._waker: subprocess.Popen[bytes] | None = None
        self._begin()

    def _begin(self) -> None:
        self._process = launch(self.data_dir, self._env)
        self.url, self.plc_url = wait_until_ready(self._process, self.data_dir)
        self._http = httpx.Client(
            base_url=self.url, timeout=HTTP_SECONDS, trust_env=False, verify=False
        )

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        env: Mapping[str, str] | None = None,
        installed: Callable[[], Path] = ensure_installed,
    ) -> Self:
        """Install the server if need be and start it on free ports, with its data in `data_dir`.

        Args:
            data_dir: Made if missing; a directory that an earlier run used is taken up again.
            env: Settings of the server, over the defaults: `{"PDS_RATE_LIMITS_ENABLED": "true"}`.
                With `LOG_ENABLED` the log goes to `pds.log` in `data_dir`.
            installed: Returns where a version of it is, installed if need be.

        Raises:
            InstallError: It could not be installed.
            StartError: It ended, or was not ready in time; no process is left.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        return cls(installed(), data_dir, env or {})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the server as its parent's death would, and wait until it is gone."""
        self.resume()
        self._http.close()
        end(self._process)

    def kill(self) -> None:
        """Crash the server in the middle of whatever it does; `restart` brings it back."""
        self._process.kill()
        self.stop()

    def restart(self) -> None:
        """Stop the server, if it runs, and start it on the same ports with the same data.

        Raises:
            StartError: It did not come up again; no process is left.
        """
        self.stop()
        self._begin()

    def pause(self) -> None:
        """Freeze the server: connections are still accepted, but nothing is answered."""
        self._waker = self._waker or make_waker(self.pid)
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on; it then serves what was sent to it meanwhile."""
        if self._waker is not None:
            end(self._waker)
            self._waker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def create_account(self, name: str | None = None) -> Account:
        """Make an account with a fresh handle, `<name>-<random>.test`, and an app password for it.

        Args:
            name: At most 9 letters, digits or hyphens; `user` when absent.
        """
        handle = f"{name or 'user'}-{secrets.token_hex(4)}.test"
        email = f"{handle.removesuffix('.test')}@example.com"
        made = self._call(
            "com.atproto.server.createAccount",
            {"handle": handle, "email": email, "password": MAIN_PASSWORD},
        )
        password = self._call(
            "com.atproto.server.createAppPassword",
            {"name": "syncd"},
            headers=bearer(made["accessJwt"]),
        )["password"]
        self._tokens[made["did"]] = str(made["accessJwt"])
        return Account(did=made["did"], handle=handle, password=password)

    def client(self, account: Account) -> httpx.Client:
        """Log in with the account's main password, as another client with full rights would.

        The client's base URL is the PDS's; whoever asked for it closes it.
        """
        headers = bearer(self._access_token(account))
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=HTTP_SECONDS, trust_env=False, verify=False
        )

    def takedown(self, did: str) -> None:
        """Take the account down, as a moderator would."""
        self._set_status(did, "takedown", applied=True)

    def untakedown(self, did: str) -> None:
        """Lift the takedown."""
        self._set_status(did, "takedown", applied=False)

    def take_blob_down(self, did: str, cid: str, *, is_down: bool = True) -> None:
        """Take one blob down, as a moderator would, or undo that."""
        subject = {"$type": "com.atproto.admin.defs#repoBlobRef", "did": did, "cid": cid}
        body = {"subject": subject, "takedown": {"applied": is_down}}
        self._admin("com.atproto.admin.updateSubjectStatus", body)

    def deactivate(self, account: Account) -> None:
        """Deactivate the account, as its owner would."""
        headers = bearer(self._access_token(account))
        self._call("com.atproto.server.deactivateAccount", {}, headers=headers)

    def activate(self, account: Account) -> None:
        """Make a deactivated account active again."""
        headers = bearer(self._access_token(account))
        self._call("com.atproto.server.activateAccount", None, headers=headers)

    def delete_account(self, did: str) -> None:
        """Delete the account and its repo for good. Its DID still resolves."""
        self._admin("com.atproto.admin.deleteAccount", {"did": did})

    def _access_token(self, account: Account) -> str:
        """Return the token of the one session of the account's owner. It outlives a restart.

        A login costs the server what a password must cost, several times what a write does.
        """
        if account.did not in self._tokens:
            login = {"identifier": account.did, "password": MAIN_PASSWORD}
            session = self._call("com.atproto.server.createSession", login)
            self._tokens[account.did] = str(session["accessJwt"])
        return self._tokens[account.did]

    def _set_status(self, did: str, status: str, *, applied: bool) -> None:
        subject = {"$type": "com.atproto.admin.defs#repoRef", "did": did}
        self._admin(
            "com.atproto.admin.updateSubjectStatus",
            {"subject": subject, status: {"applied": applied}},
        )

    def _admin(self, method: str, body: Mapping[str, Any]) -> None:
        token = base64.b64encode(f"admin:{self.admin_password}".encode()).decode()
        self._call(method, body, headers={"Authorization": f"Basic {token}"})

    def _call(
        self,
        method: str,
        body: Mapping[str, Any] | None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call a procedure that has to succeed; `None` sends no body, which some of them demand."""
        response = self._http.post(f"/xrpc/{method}", json=body, headers=headers)
        if response.is_error:
            raise AssertionError(f"{method} answered {response.status_code}: {response.text}")
        return dict(response.json()) if response.content else {}


def make_environment(home: Path, data_dir: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Everything the server gets to see: nothing of the caller's own environment but two paths."""
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    plc_port, pds_port = free_ports()
    return {
        **inherited,
        "REFERENCE_HOME": str(home),
        "LOG_DESTINATION": str(data_dir / "pds.log"),
        "PLC_PORT": str(plc_port),
        "PDS_PORT": str(pds_port),
        "PDS_HOSTNAME": "localhost",
        "PDS_DATA_DIRECTORY": str(data_dir),
        "PDS_BLOBSTORE_DISK_LOCATION": str(data_dir / "blobs"),
        "PDS_JWT_SECRET": "jwt-secret",
        "PDS_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX": hashlib.sha256(b"rotation key").hexdigest(),
        "PDS_INVITE_REQUIRED": "false",
        "PDS_DEV_MODE": "true",
        **env,
    }


def free_ports() -> tuple[int, int]:
    """Find two ports that nothing on this machine listens on.

    They are drawn from the system: runs in parallel may well have seeded `random` alike.
    """
    drawn = random.SystemRandom().sample(PORTS, 100)
    first, second = islice(filter(is_free, drawn), 2)
    return first, second


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def launch(data_dir: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the process, in a group of its own, out of reach of the terminal's Ctrl-C."""
    with (data_dir / "stderr.log").open("wb") as errors:
        return subprocess.Popen(
            [str(NODE), str(START)],
            cwd=data_dir,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
        )


def make_waker(pid: int) -> subprocess.Popen[bytes]:
    """Start what wakes a frozen process as soon as our end of a pipe closes.

    A frozen server would not notice that its parent has died; this one does.
    """
    command = ["/bin/sh", "-c", f"read _; kill -CONT {pid}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)


def wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path) -> tuple[str, str]:
    """Return the URLs of PDS and PLC as soon as both answer.

    Raises:
        StartError: The process is gone by then.
    """
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    line = process.stdout.readline() if readable else b""
    if not line:
        end(process)
        raise StartError(explain(data_dir, in_time=bool(readable)))
    urls = json.loads(line)
    return urls["pds"], urls["plc"]


def explain(data_dir: Path, *, in_time: bool) -> str:
    """Say in one sentence why there is no server, then show the end of what it wrote."""
    lines = (data_dir / "stderr.log").read_text(errors="replace").splitlines()[-TAIL_LINES:]
    reason = lines[-1] if lines else "it said nothing"
    late = f"was not ready after {READY_SECONDS:.0f} seconds"
    what = "ended before it was ready" if in_time else late
    return "\n".join([f"The reference PDS {what}: {reason}", *lines])


def end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes of a process, which asks it to leave, and make sure that it does."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
