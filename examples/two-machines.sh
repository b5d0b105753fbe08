#!/usr/bin/env bash
# Two machines, one account, and one record that both of them edit: what a conflict looks like, where
# both versions are while it waits, and how it ends.
#
#   pip install '.[sandbox]'           (in a checkout; or there: make demo ONCE=1, then PATH=.venv/bin:$PATH)
#   bash examples/two-machines.sh
#
# Needs no account and leaves nothing behind. A "machine" is a directory with a state directory of
# its own, so neither knows the other's password, session or folder.
set -euo pipefail

work=$(mktemp -d)
export PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring
trap 'kill "${sandbox:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

on() { # on MACHINE COMMAND...: run a syncd command there; 3 means that something waits for a person
    local machine=$1 code=0
    shift
    printf '\n%s$ syncd %s\n' "$machine" "$*"
    XDG_STATE_HOME=$work/$machine/state syncd -C "$work/$machine/alice" "$@" || code=$?
    [ "$code" = 0 ] || printf '(exit code %s)\n' "$code"
    [ "$code" = 0 ] || [ "$code" = 3 ]
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

for machine in laptop desktop; do
    mkdir -p "$work/$machine/alice"
    on "$machine" login alice.test --password-file "$work/password" --pds "$url" --plc "$url"
    on "$machine" clone alice.test "$work/$machine/alice" --pds "$url" --plc "$url"
done
laptop=$work/laptop/alice/com.example.note
desktop=$work/desktop/alice/com.example.note

# The laptop writes a note, and the desktop has it after its next sync.
mkdir "$laptop"
echo '{"text": "milk, bread"}' >"$laptop/shopping.json"
on laptop sync
on desktop sync

# Both edit it before either has seen the other's edit. Whoever is first reaches the repo.
echo '{"text": "milk, bread, eggs"}' >"$desktop/shopping.json"
echo '{"text": "oat milk, bread"}' >"$laptop/shopping.json"
on desktop sync

# The laptop is told of a conflict. Its own file stays as it is; the other side lies beside it.
on laptop sync
on laptop conflicts
on laptop diff
printf '\nin the file:   %s\n' "$(cat "$laptop/shopping.json")"
printf 'kept beside it: %s\n' "$(cat "$work"/laptop/alice/.syncd/conflicts/com.example.note/*)"

# Merged by hand, in the file; then the folder's version is the one that counts.
echo '{"text": "oat milk, bread, eggs"}' >"$laptop/shopping.json"
on laptop resolve com.example.note/shopping --local
on desktop sync
printf '\non the desktop now: %s\n' "$(cat "$desktop/shopping.json")"
on laptop verify
on desktop verify
