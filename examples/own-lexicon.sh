#!/usr/bin/env bash
# A lexicon of one's own: written, published, used, and checked, against a sandbox PDS on this machine.
#
#   pip install '.[sandbox]'           (in a checkout; or there: make demo ONCE=1, then PATH=.venv/bin:$PATH)
#   bash examples/own-lexicon.sh
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
show syncd login alice.test --password-file "$work/password" --pds "$url" --plc "$url"
show syncd clone alice.test "$work/alice" --pds "$url" --plc "$url"
cd "$work/alice"

# A lexicon says which fields a record has. It is a record itself: its key is the name that it defines.
mkdir com.atproto.lexicon.schema com.example.recipe
cat >com.atproto.lexicon.schema/com.example.recipe.json <<'LEXICON'
{
  "lexicon": 1,
  "id": "com.example.recipe",
  "defs": {
    "main": {
      "type": "record",
      "description": "Something to cook.",
      "key": "any",
      "record": {
        "type": "object",
        "required": ["name", "minutes"],
        "properties": {
          "name": { "type": "string", "maxGraphemes": 80 },
          "minutes": { "type": "integer", "minimum": 1 },
          "course": { "type": "string", "knownValues": ["starter", "main", "dessert"] }
        }
      }
    }
  }
}
LEXICON

# It counts for the records beside it at once. A new draft begins with the fields that it requires.
draft=$(syncd new com.example.recipe)
show cat "$draft"
rm "$draft"
echo '{"name": "Soup", "minutes": "twenty", "cours": "starter"}' >com.example.recipe/soup.json

# This is the check for CI: it needs no account, and ends with 3 if a file breaks its lexicon.
show syncd lexicon check || echo "exit code $?"

# What breaks its lexicon is not sent. The lexicon itself is.
show syncd sync || echo "exit code $?"

cat >com.example.recipe/soup.json <<'RECORD'
{
  "name": "Soup",
  "minutes": 20,
  "course": "starter"
}
RECORD
show syncd lexicon check
show syncd sync

# A new version that would break what is there is held before it is published.
sed -i 's/"type": "integer", "minimum": 1/"type": "string"/' com.atproto.lexicon.schema/com.example.recipe.json
show syncd sync || echo "exit code $?"
sed -i 's/"minutes": { "type": "string"/"minutes": { "type": "integer", "minimum": 5/' \
    com.atproto.lexicon.schema/com.example.recipe.json
show syncd sync

# An editor completes and checks recipes while you type. Every other mirror with recipes resolves the
# lexicon with `syncd lexicon update`, once DNS names this account: a TXT record "did=..." at
# _lexicon.example.com.
show syncd editor install --vscode
show syncd status
