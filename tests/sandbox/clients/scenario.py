"""What clients of others do on a PDS, by the `atproto` SDK: `scenario.py URL DID PASSWORD`.

Prints one JSON object of what it found, as `api.mjs` and `atcute.mjs` do by their clients.
"""

from __future__ import annotations

import json
import sys

from atproto import Client, models  # type: ignore[import-untyped]

COLLECTION = "com.example.note"


def main(url: str, did: str, password: str) -> None:
    client = Client(base_url=f"{url}/xrpc")
    client.login(did, password, fetch_bsky_profile=False)
    repo, sync, server = client.com.atproto.repo, client.com.atproto.sync, client.com.atproto.server
    blob = repo.upload_blob(b"hello from afar").blob
    record = {"$type": COLLECTION, "text": "one", "blob": blob}
    place = {"repo": did, "collection": COLLECTION}
    made = repo.create_record({**place, "rkey": "one", "record": record})
    repo.put_record({**place, "rkey": "two", "record": {"$type": COLLECTION, "text": "two"}})
    repo.delete_record({**place, "rkey": "two"})
    shown = repo.get_record({**place, "rkey": "one"})
    listed = repo.list_records(place).records
    (cid,) = sync.list_blobs({"did": did}).cids
    missing = repo.list_missing_blobs(models.ComAtprotoRepoListMissingBlobs.Params()).blobs
    repos = sync.list_repos(models.ComAtprotoSyncListRepos.Params()).repos
    found = {
        "blob": blob.ref.link,
        "is the record": shown.cid == made.cid,
        "text": shown.value["text"],
        "records": [each.uri.rpartition("/")[2] for each in listed],
        "blobs": [cid],
        "bytes": sync.get_blob({"did": did, "cid": cid}).decode(),
        "missing": len(missing),
        "repos": [each.did for each in repos],
        "head": sync.get_head({"did": did}).root == sync.get_latest_commit({"did": did}).cid,
        "is active": server.check_account_status().activated,
        "app passwords": [each.name for each in server.list_app_passwords().passwords],
        "token": len(server.get_service_auth({"aud": "did:web:example.com"}).token.split(".")),
    }
    sys.stdout.write(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
