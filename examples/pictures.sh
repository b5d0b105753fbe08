#!/usr/bin/env bash
# Pictures: an avatar, a post with two pictures and their alt texts, and the cover of an article.
#
#   pip install '.[sandbox]'           (in a checkout; or there: make demo ONCE=1, then PATH=.venv/bin:$PATH)
#   bash examples/pictures.sh
#
# It needs no account and leaves nothing behind: folder, password and session are below one
# temporary directory, which goes when the script ends.
set -euo pipefail

work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
export PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring
trap 'kill "${sandbox:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

# A PDS of our own. It makes an account and says so on its first lines.
: >"$work/sandbox.log"
syncd sandbox --data "$work/pds" >>"$work/sandbox.log" &
sandbox=$!
until grep -q 'app password' "$work/sandbox.log"; do
    kill -0 "$sandbox" || exit 1
    sleep 0.1
done
url=$(sed -n 's/^PDS and PLC directory at //p' "$work/sandbox.log")
(umask 077 && sed -n 's/.*app password //p' "$work/sandbox.log" >"$work/password")

# Against a real account, leave out --pds and --plc, and let login ask for the app password.
syncd login alice.test --password-file "$work/password" --pds "$url" --plc "$url"
syncd clone alice.test "$work/alice" --pds "$url" --plc "$url"
cd "$work/alice"

# Three pictures, each of one point. Yours may lie anywhere in the folder, and keep their names.
mkdir pictures
point() { printf 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42%s' "$1" | base64 -d; }
point 'mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==' >pictures/me.png
point 'mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==' >pictures/hill.png
point 'mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==' >pictures/lake.png

# An avatar.
mkdir app.bsky.actor.profile app.bsky.feed.post com.example.article
cat >app.bsky.actor.profile/self.json <<'RECORD'
{
  "$type": "app.bsky.actor.profile",
  "displayName": "Alice",
  "avatar": {"$type": "blob", "$file": "pictures/me.png"}
}
RECORD

# A post with two pictures, each with an alt text for those who do not see it.
cat >app.bsky.feed.post/3m6qk5zx2ks2a.json <<'RECORD'
{
  "$type": "app.bsky.feed.post",
  "text": "A walk",
  "embed": {
    "$type": "app.bsky.embed.images",
    "images": [
      {"alt": "A hill in the snow", "image": {"$type": "blob", "$file": "pictures/hill.png"}},
      {"alt": "A lake with a boat", "image": {"$type": "blob", "$file": "pictures/lake.png"}}
    ]
  },
  "createdAt": "2026-11-29T10:00:00Z"
}
RECORD

# A cover. It is the hill once more: bytes that the PDS has are not uploaded again.
cat >com.example.article/hills.json <<'RECORD'
{"title": "Hills", "cover": {"$type": "blob", "$file": "pictures/hill.png"}}
RECORD

# Each file is uploaded, and the reference of the PDS's answer takes the place of its name.
show syncd sync
show cat com.example.article/hills.json
show syncd blob ls

# The deletion takes the last name of the avatar away. Its bytes stay in blobs/, and restore brings
# record and picture back.
rm app.bsky.actor.profile/self.json
show syncd sync
show syncd restore app.bsky.actor.profile/self
show syncd sync
show syncd verify --remote
