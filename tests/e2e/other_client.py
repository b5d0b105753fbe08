"""Another app that writes to the account: the `atproto` SDK, in a process of its own.

Knows nothing of syncd. Reads one JSON order a line on stdin and answers each with a line on stdout.
Usage: other_client.py PDS_URL DID PASSWORD
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from atproto import Client, models  # type: ignore[import-untyped]
from atproto.exceptions import (  # type: ignore[import-untyped]
    BadRequestError,
    RequestException,
)

Batch = models.ComAtprotoRepoApplyWrites
Answer = dict[str, str | None]
Write = tuple[str, dict[str, Any] | None]
"""A record path and the record to be there; None: no record."""


@dataclass(frozen=True, slots=True)
class App:
    """A client that is logged in to one account."""

    client: Client
    did: str

    def obey(self, verb: str, writes: list[Write]) -> Answer:
        """The rev of the commit that was made; None if there was none, and maybe the error."""
        try:
            made = self._batch(writes) if verb == "batch" else self._single(verb, *writes[0])
            return {"rev": made.commit.rev if made.commit else None, "error": ""}
        except (BadRequestError, RequestException) as error:
            if error.response is None:
                raise
            return {"rev": None, "error": str(error)}

    def _single(self, verb: str, path: str, record: dict[str, Any] | None) -> Any:  # noqa: ANN401
        """`put` overwrites whatever is there, `swap` only what it has just read."""
        repo, place = self.client.com.atproto.repo, self._place(path)
        if verb == "delete":
            return repo.delete_record(models.ComAtprotoRepoDeleteRecord.Data(**place))
        now = self._read(path) if verb == "swap" else None
        data = models.ComAtprotoRepoPutRecord.Data(**place, record=record, swap_record=now)
        return repo.put_record(data)

    def _batch(self, writes: list[Write]) -> Any:  # noqa: ANN401
        """All in one commit, over whatever is there, unless a record comes or goes meanwhile."""
        ops: list[Any] = []
        for path, record in writes:
            collection, rkey = path.split("/")
            is_there = self._read(path) is not None
            if record is not None:
                kind = Batch.Update if is_there else Batch.Create
                ops.append(kind(collection=collection, rkey=rkey, value=record))
            elif is_there:
                ops.append(Batch.Delete(collection=collection, rkey=rkey))
        return self.client.com.atproto.repo.apply_writes(Batch.Data(repo=self.did, writes=ops))

    def _read(self, path: str) -> str | None:
        """The CID of a record now, or None."""
        params = models.ComAtprotoRepoGetRecord.Params(**self._place(path))
        try:
            return str(self.client.com.atproto.repo.get_record(params).cid)
        except BadRequestError:
            return None

    def _place(self, path: str) -> dict[str, str]:
        collection, rkey = path.split("/")
        return {"repo": self.did, "collection": collection, "rkey": rkey}


def main() -> None:
    url, did, password = sys.argv[1:]
    app = App(Client(url), did)
    app.client.login(did, password, fetch_bsky_profile=False)
    tell({"rev": None, "error": ""})
    for line in sys.stdin:
        order = json.loads(line)
        tell(app.obey(order["verb"], order["writes"]))


def tell(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
