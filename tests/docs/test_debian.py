"""The Debian package: built, installed over a throw-away copy of this machine, and removed.

The copy has no network. Root, a kernel with overlayfs, and Debian 12 or newer are needed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from release.deb import build
from tests.docs.test_packaging import built
from tests.programs import program
from tests.ran import output_of

from .markdown import ROOT

pytestmark = pytest.mark.packages

UNITS = sorted((ROOT / "systemd").iterdir())
PLACES = (
    "usr/bin/syncd",
    "usr/lib/systemd/system/syncd@.service",
    *(f"usr/lib/systemd/user/{unit.name}" for unit in UNITS if unit.name != "syncd@.service"),
    "usr/share/bash-completion/completions/syncd",
    "usr/share/zsh/vendor-completions/_syncd",
    "usr/share/fish/vendor_completions.d/syncd.fish",
    "usr/share/man/man1/syncd.1.gz",
    "usr/share/doc/syncd/copyright",
)
OVER = """
set -eu
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --bind /dev "$1/root/dev"
mount -t proc none "$1/root/proc"
mount -t tmpfs none "$1/root/tmp"
mkdir -p "$1/root/tmp/in"
cp "$2" "$1/root/tmp/in/syncd.deb"
ip link set lo up
chroot "$1/root" /bin/sh -eu -c "$3"
"""
"""Run a script in an overlay over this machine: where it is made, the package, the script."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("deb")
    return build(built("wheel", directory), directory)


def in_a_copy(package: Path, place: Path, script: str) -> str:
    """What the script says in a copy of this machine that has no network but its loopback."""
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", OVER, "sh"]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    return output_of([*command, str(place), str(package), script], environ)


def test_each_thing_lies_where_debian_looks_for_it(package: Path) -> None:
    listed = subprocess.run(
        ["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True
    )
    inside = {line.split()[5].removeprefix("./") for line in listed.stdout.splitlines()}
    assert [place for place in PLACES if place not in inside] == []
    assert len(UNITS) >= 5
    assert not [
        place for place in inside if place.startswith("etc/")
    ]  # no file for dpkg to ask about
    outside = ("usr/lib/syncd/", "usr/share/", "usr/lib/systemd/", "usr/bin/syncd")
    files = (name for name in inside if name and not name.endswith("/"))
    assert [name for name in files if not name.startswith(outside)] == []


def test_the_package_has_the_same_bytes_when_it_is_built_again(
    package: Path, tmp_path: Path
) -> None:
    again = build(built("wheel", tmp_path), tmp_path)
    assert again.read_bytes() == package.read_bytes()


def test_dpkg_runs_no_script_of_the_package(package: Path) -> None:
    listed = subprocess.run(
        ["dpkg-deb", "--ctrl-tarfile", package], capture_output=True, check=True
    )
    names = subprocess.run(["tar", "-t"], input=listed.stdout, capture_output=True, check=True)
    assert sorted(names.stdout.decode().split()) == ["./", "./control", "./md5sums"]


def test_lintian_finds_nothing_that_is_not_overridden_with_a_reason(package: Path) -> None:
    done = subprocess.run(
        [program("lintian"), "--allow-root", "--fail-on", "error,warning", package],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_installs_and_runs_the_demo_without_a_network(package: Path, tmp_path: Path) -> None:
    script = """
        dpkg --install /tmp/in/syncd.deb >&2
        dpkg --verify syncd
        mkdir -p /tmp/home && chown nobody /tmp/home
        cd /tmp/home
        HOME=/tmp/home runuser -u nobody -- syncd demo --once
        man --where syncd
        systemd-analyze verify /usr/lib/systemd/system/syncd@.service
        bash -n /usr/share/bash-completion/completions/syncd
    """
    said = in_a_copy(package, tmp_path, script)
    assert "3 records agree: files, base, tree, root and signature" in said
    assert "/usr/share/man/man1/syncd.1.gz" in said


def test_its_removal_and_purge_leave_nothing_but_the_mirrors(package: Path, tmp_path: Path) -> None:
    script = """
        dpkg --install /tmp/in/syncd.deb >&2
        mirrors="/var/lib/syncd/alice /home/bob/notes /home/bob/.local/state/syncd"
        for mirror in $mirrors; do
            mkdir -p $mirror/.syncd
            echo kept >$mirror/.syncd/history.db
        done
        dpkg --listfiles syncd | while read -r path; do
            test -d "$path" || echo "$path"
        done >/tmp/list
        syncd --version
        dpkg --remove syncd >&2
        dpkg --purge syncd >&2
        while read -r path; do test ! -e "$path" || echo "left $path"; done </tmp/list
        test ! -e /usr/lib/syncd
        for mirror in $mirrors; do cat $mirror/.syncd/history.db; done
    """
    said = in_a_copy(package, tmp_path, script)
    assert "left" not in said
    assert said.splitlines()[-3:] == ["kept"] * 3
