"""Serve one repo by arroba, in memory, with its DID document beside it: `app.py PORT`.

Runs in arroba's own environment and imports nothing of syncd. It prints `ready` and leaves when its
stdin closes. `POST /_new` drops the repo and makes another one under a fresh DID; `POST /_active`
with true or false activates or deactivates it.
"""

# mypy: disable-error-code="import-not-found,untyped-decorator"

import importlib
import os
import secrets
import sys
import threading

os.environ.update(
    REPO_PASSWORD="app-password",
    REPO_TOKEN="token-of-the-owner-of-this-repo",
    PDS_HOST="localhost",
    PLC_HOST="localhost",
    APPVIEW_HOST="localhost",
    RELAY_HOST="localhost",
    GOOGLE_CLOUD_PROJECT="app",
    DATASTORE_DATASET="app",
    DATASTORE_EMULATOR_HOST="localhost:1",
)

import lexrpc.flask_server
from arroba import did, firehose, repo, server, storage, util
from flask import Flask, request

for module in ("xrpc_repo", "xrpc_server", "xrpc_sync"):
    importlib.import_module(f"arroba.{module}")  # each adds its methods to the server

HANDLE = "alice.test"
STREAM = "com.atproto.sync.subscribeRepos"
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
app = Flask("arroba")


def announce(data: object = None, lost_seq: int | None = None) -> None:
    if data:
        firehose.send_events()
    else:
        firehose.mark_seq_lost(lost_seq)


@app.post("/_new")
def make_repo() -> dict[str, str]:
    """Make the one repo that is served from now on; answer its DID and its key."""
    made = "did:plc:" + "".join(secrets.choice(LETTERS) for _ in range(24))
    key = util.new_key()
    server.storage = storage.MemoryStorage()
    server.repo = repo.Repo.create(
        server.storage, made, signing_key=key, rotation_key=key, handle=HANDLE
    )
    server.repo.callback = announce
    if firehose.collector:
        # The numbers of events begin anew with the storage.
        firehose.collector.last_seq = server.storage.sequences.last(STREAM)
    app.config["KEY"] = did.encode_did_key(key.public_key())
    return {"did": made, "handle": HANDLE, "key": app.config["KEY"]}


@app.post("/_active")
def set_active() -> dict[str, str]:
    """Deactivate the repo, or activate it again, as its operator does."""
    change = server.storage.activate_repo if request.json else server.storage.deactivate_repo
    change(server.repo)
    return {}


@app.get("/<found>")
def document(found: str) -> object:
    """Answer the DID document, as a PLC directory does."""
    if found != server.repo.did:
        return {"message": "DID not registered"}, 404
    key = app.config["KEY"].removeprefix("did:key:")
    method = {"id": f"{found}#atproto", "type": "Multikey", "controller": found}
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer"}
    return {
        "id": found,
        "alsoKnownAs": [f"at://{HANDLE}"],
        "verificationMethod": [{**method, "publicKeyMultibase": key}],
        "service": [{**service, "serviceEndpoint": request.host_url.rstrip("/")}],
    }


def leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


lexrpc.flask_server.init_flask(server.server, app)
make_repo()
firehose.start()
threading.Thread(target=leave_with_parent, daemon=True).start()
print("ready", flush=True)  # noqa: T201
app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
