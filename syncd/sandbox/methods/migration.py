"""The methods with which an account moves to another PDS: the repo, its blobs, what is missing.

Never creates an account for a DID that exists elsewhere, and never touches a PLC directory.
"""

from __future__ import annotations

from syncd.atproto.car import CarReader
from syncd.errors import BadCar
from syncd.sandbox.answer import Answer, empty_answer, internal, invalid, json_answer
from syncd.sandbox.methods.call import CheckedCall, Method
from syncd.sandbox.methods.pages import page


def import_repo(call: CheckedCall) -> Answer:
    """Replace the repo by that of a CAR. The blobs that its records name may follow later."""
    reader = CarReader()
    try:
        blocks = dict(reader.feed(call.request.body))
        reader.close()
    except BadCar:
        raise internal() from None
    if len(reader.roots) != 1:
        raise invalid("expected one root")
    if reader.commit is None:
        raise internal()
    call.sandbox.import_repo(call.caller.did, reader.commit, blocks)
    return empty_answer()


def list_missing_blobs(call: CheckedCall) -> Answer:
    did = call.caller.did
    missing = call.sandbox.blobs(did).missing()
    found, cursor = page(call.request, missing, lambda item: item[0], str)
    blobs = [{"cid": cid, "recordUri": f"at://{did}/{path}"} for cid, path in found]
    return json_answer({"blobs": blobs, "cursor": cursor})


def check_account_status(call: CheckedCall) -> Answer:
    """Answer how much of the account is here. The DID document is this sandbox's own."""
    did = call.caller.did
    repo, blobs = call.sandbox.repo(did), call.sandbox.blobs(did)
    return json_answer(
        {
            "activated": call.sandbox.accounts.get(did).is_active,
            "validDid": True,
            "repoCommit": str(repo.head.commit),
            "repoRev": repo.head.rev,
            "repoBlocks": len(repo.state.blocks),
            "indexedRecords": len(repo.state.records),
            "privateStateValues": 0,
            "expectedBlobs": len(blobs.named()),
            "importedBlobs": blobs.count,
        }
    )


METHODS = {
    "com.atproto.repo.importRepo": Method("POST", import_repo, "full", "car"),
    "com.atproto.repo.listMissingBlobs": Method("GET", list_missing_blobs, "access"),
    "com.atproto.server.checkAccountStatus": Method("GET", check_account_status, "access"),
}
