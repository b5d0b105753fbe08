#!/usr/bin/env bash
# A first mirror, from nothing to a verified folder, against a sandbox PDS on this machine.
#
#   pip install '.[sandbox]'           (in a checkout; or there: make demo ONCE=1, then PATH=.venv/bin:$PATH)
#   bash examples/first-mirror.sh
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

# A record is a file: collection/rkey.json. $type may be left out; it is the collection.
mkdir com.example.note
echo '{"text": "written in a text editor"}' >com.example.note/hello.json

show syncd sync --dry-run
show syncd sync
show cat com.example.note/hello.json

# What is not finished is a draft. It stays in the folder until it is published.
draft=$(syncd new com.example.note)
show syncd sync
show syncd publish "$draft"
note=${draft%.draft.json}.json
show cat "$note"

# Only meaning counts: a file that was laid out in another way is no change and costs no write.
printf '{\n\t"text":"written in a text editor" }' >com.example.note/hello.json
show syncd sync

rm "$note"
show syncd sync
show syncd verify
