"""The lexicons that come with syncd, read at the first use. Opens its own file and no other.

`python -m tests.reference.lexicon_bundle` makes the file from an npm package. It carries the name
and version of that, and its day: a lexicon may have been loosened since then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from syncd.atproto.syntax import Nsid
from syncd.values import dataclass

if TYPE_CHECKING:
    from syncd.atproto.lexicon.document import Lexicon

_FILE: Final = Path(__file__).with_name("bundle.json")
OLD_DAYS: Final = 90
"""From this age on the bundle only warns of types that the PDS itself checks."""
_DAY_SECONDS = 86_400

KNOWN_TO_PDS: Final = frozenset(
    {
        *("app.bsky.actor.contentVisibilityDeclaration", "app.bsky.actor.profile"),
        *("app.bsky.actor.status", "app.bsky.graph.referencelistoptout"),
        *("app.bsky.feed.generator", "app.bsky.feed.like", "app.bsky.feed.post"),
        *("app.bsky.feed.postgate", "app.bsky.feed.repost", "app.bsky.feed.threadgate"),
        *("app.bsky.graph.block", "app.bsky.graph.follow", "app.bsky.graph.list"),
        *("app.bsky.graph.listblock", "app.bsky.graph.listitem", "app.bsky.graph.starterpack"),
        *("app.bsky.graph.verification", "app.bsky.labeler.service"),
        *("app.bsky.notification.declaration", "chat.bsky.actor.declaration"),
        *("com.atproto.lexicon.schema", "com.germnetwork.declaration"),
    }
)
"""The record types that the reference PDS 0.5.35 checks itself."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The lexicons of `package` at `version`, published on the day `published` (in UTC)."""

    package: str
    version: str
    published: str
    documents: Mapping[str, dict[str, Any]] = field(repr=False)
    _parsed: dict[str, Lexicon] = field(default_factory=dict, repr=False)

    def find(self, nsid: str) -> Lexicon | None:
        """Return the lexicon of an NSID; None if the bundle lacks it."""
        known = self._parsed.get(nsid)
        if known is None and nsid in self.documents:
            # `status` asks only what is there.
            from syncd.atproto.lexicon.document import parse_lexicon  # noqa: PLC0415

            known = self._parsed[nsid] = parse_lexicon(self.documents[nsid])
        return known

    def record_types(self) -> list[Nsid]:
        """Return the collections whose records the bundle describes, in order."""
        mains = ((name, each["defs"].get("main")) for name, each in self.documents.items())
        return sorted(Nsid(name) for name, main in mains if main and main["type"] == "record")

    def age_days(self, now: float) -> int:
        """Return how many days ago it was published; `now` in unix seconds."""
        published = datetime.fromisoformat(self.published).replace(tzinfo=UTC).timestamp()
        return int((now - published) // _DAY_SECONDS)

    def is_old(self, now: float) -> bool:
        """Return whether the package may have been overtaken; `now` in unix seconds."""
        return self.age_days(now) > OLD_DAYS


@cache
def load_bundle() -> Bundle:
    """Read the bundle, once in a process."""
    found = json.loads(_FILE.read_bytes())
    documents = {document["id"]: document for document in found["lexicons"]}
    return Bundle(found["package"], found["version"], found["published"], documents)
