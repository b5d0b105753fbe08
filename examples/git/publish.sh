#!/usr/bin/env bash
# Publishing by git: a pull request is merged, a job with nothing but a fresh clone publishes it.
#
#   pip install '.[sandbox]'           (in a checkout; or there: make demo ONCE=1, then PATH=.venv/bin:$PATH)
#   bash examples/git/publish.sh
#
# It needs git and no account, and leaves nothing behind. github.yml, forgejo.yml and gitlab.yml
# beside it do the same as the function `job`, where you host your repository.
set -euo pipefail

work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
export PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring
export GIT_CONFIG_GLOBAL=$work/gitconfig
trap 'kill "${sandbox:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

git config --global user.name Alice
git config --global user.email alice@example.com
git config --global init.defaultBranch main

: >"$work/sandbox.log"
syncd sandbox --data "$work/pds" >>"$work/sandbox.log" &
sandbox=$!
until grep -q 'app password' "$work/sandbox.log"; do
    kill -0 "$sandbox" || exit 1
    sleep 0.1
done
url=$(sed -n 's/^PDS and PLC directory at //p' "$work/sandbox.log")
(umask 077 && sed -n 's/.*app password //p' "$work/sandbox.log" >"$work/password")
# A password that is given like this goes to the PDS of the DID document, or to the one named here.
export SYNCD_PASSWORD_FILE=$work/password SYNCD_PDS=$url

# Once: the settings and the records in git, and nothing of syncd but syncd.toml.
export SYNCD_PLC_URL=$url
git init --quiet --bare "$work/site.git"
mkdir -p "$work/site/com.example.page"
cd "$work/site"
did=$(sed -n 's/.*\(did:plc:[a-z0-9]*\).*/\1/p' "$work/sandbox.log" | head -n 1)
printf '[mirror]\ndid = "%s"\nmode = "publish"\n' "$did" >syncd.toml
echo '{"title": "Home"}' >com.example.page/home.json
echo '{"title": "News"}' >com.example.page/news.json
git init --quiet
git remote add origin "$work/site.git"
git add syncd.toml com.example.page
git commit --quiet --message 'A site of two pages'
git push --quiet --set-upstream origin main

# What a CI job does: a fresh clone, and one command.
job() {
    git clone --quiet "$work/site.git" "$work/$1"
    cd "$work/$1"
    show syncd sync
}
job first

# A colleague without syncd, and without the password: one page edited, one made, one deleted.
git clone --quiet "$work/site.git" "$work/colleague"
cd "$work/colleague"
echo '{"title": "Welcome"}' >com.example.page/home.json
echo '{"title": "About"}' >com.example.page/about.json
git rm --quiet com.example.page/news.json
git add com.example.page
git commit --quiet --message 'Welcome, and no news'
git push --quiet

# What the job of a pull request does: it needs no password, and changes nothing.
show env -u SYNCD_PASSWORD_FILE syncd sync --dry-run --format=markdown

job second
job third

show git ls-remote "$work/site.git"
