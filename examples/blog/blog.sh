#!/usr/bin/env bash
# The posts of a site in a repo: what was there is imported, then both are edited, here and elsewhere.
#
#   pip install '.[sandbox]'           (in a checkout; or there: make demo ONCE=1, then PATH=.venv/bin:$PATH)
#   bash examples/blog/blog.sh
#
# It needs no account and leaves nothing behind. astro/ and hugo/ beside it are sites that read their
# posts from the mirror, which lies in the directory of the site, as `posts`.
set -euo pipefail

work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
export PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring
trap 'kill "${sandbox:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

: >"$work/sandbox.log"
syncd sandbox --data "$work/pds" >>"$work/sandbox.log" &
sandbox=$!
until grep -q 'app password' "$work/sandbox.log"; do
    kill -0 "$sandbox" || exit 1
    sleep 0.1
done
url=$(sed -n 's/^PDS and PLC directory at //p' "$work/sandbox.log")
(umask 077 && sed -n 's/.*app password //p' "$work/sandbox.log" >"$work/password")

# A site with two posts, as Astro and Hugo have them; one is not finished.
mkdir -p "$work/site/old"
cd "$work/site"
cat >old/a-walk.md <<'POST'
---
title: "A walk"
date: 2026-11-29
draft: false
layout: ../layouts/Post.astro
---

It rained, and we **walked**.
POST
printf -- '---\ntitle: Later\ndate: 2026-11-30\ndraft: true\n---\n\nNot yet.\n' >old/later.md

# Once: the mirror, and that its posts are Markdown files.
show syncd login alice.test --password-file "$work/password" --pds "$url" --plc "$url"
show syncd clone alice.test posts --pds "$url" --plc "$url"
cat >>posts/syncd.toml <<'SETTINGS'

[files]
markdown = { "com.whtwnd.blog.entry" = "content" }
SETTINGS

# Each post becomes a draft. One of them is published, under the address that it has.
cd posts
draft=$(syncd new com.whtwnd.blog.entry ../old/a-walk.md)
show syncd new com.whtwnd.blog.entry ../old/later.md
show syncd publish "$draft" --key a-walk
post=com.whtwnd.blog.entry/a-walk.md
show cat "$post"

# Edited here: a comment and another style are for the file alone, the text is for all.
sed -i 's/^title: .*/title: "A long walk" # was: A walk/; s/rained/snowed/' "$post"
show syncd sync

# Edited elsewhere: another machine, whose mirror has JSON files.
show syncd clone alice.test "$work/other" --pds "$url" --plc "$url"
sed -i 's/snowed/snowed a lot/' "$work/other/com.whtwnd.blog.entry/a-walk.json"
show syncd -C "$work/other" sync
show syncd sync
show cat "$post"
show syncd status
