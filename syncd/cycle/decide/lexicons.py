"""Name the record types that many repos have, so that a misspelt one is noticed. Data only.

From the lexicons of atproto and Bluesky (github.com/bluesky-social/atproto) and of applications
that publish theirs, as the package `atproto` of PyPI has them; a test compares the two. A name that
is missing here only means that a slip from it is not noticed.
"""

from __future__ import annotations

from typing import Final

KNOWN: Final = frozenset(
    {
        *("app.bsky.actor.contentVisibilityDeclaration", "app.bsky.actor.link"),
        *("app.bsky.actor.profile", "app.bsky.actor.status"),
        *("app.bsky.feed.generator", "app.bsky.feed.like", "app.bsky.feed.post"),
        *("app.bsky.feed.postgate", "app.bsky.feed.repost", "app.bsky.feed.threadgate"),
        *("app.bsky.graph.block", "app.bsky.graph.follow", "app.bsky.graph.list"),
        *("app.bsky.graph.listblock", "app.bsky.graph.listitem"),
        *("app.bsky.graph.referencelistoptout", "app.bsky.graph.starterpack"),
        *("app.bsky.graph.verification", "app.bsky.labeler.service"),
        *("app.bsky.notification.declaration", "chat.bsky.actor.declaration"),
        *("com.atproto.lexicon.schema", "com.germnetwork.declaration"),
        *(
            "com.whtwnd.blog.entry",
            "fyi.unravel.frontpage.post",
            "events.smokesignal.calendar.event",
        ),
        *("place.stream.chat.pinnedRecord", "place.stream.chat.profile", "place.stream.livestream"),
        *("pub.leaflet.document", "pub.leaflet.publication"),
        *("sh.tangled.repo", "sh.tangled.repo.issue", "sh.tangled.repo.pull"),
        *("site.standard.document", "site.standard.graph.recommend"),
        *("site.standard.graph.subscription", "site.standard.publication"),
        *("site.standard.theme.basic", "social.grain.favorite", "social.grain.gallery"),
        *("social.grain.gallery.item", "social.grain.photo"),
    }
)
