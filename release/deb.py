"""Build a Debian package of a wheel: `python -m release.deb WHEEL DIR`.

The package carries what syncd depends on, below /usr/lib/syncd: the versions in Debian 12 are older
than those that syncd needs. Some are compiled, so the package is for the Debian whose Python builds
it. It has no script that dpkg runs: neither its installation nor its removal can touch a
mirror. Its installation downloads nothing.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

PYTHON = "/usr/bin/python3"
"""The Python of Debian, which the package runs on."""
LOCKED = Path(__file__).with_name("locked.txt")
_MADE = 1580601600
"""The time of every file, in seconds: 2020-02-02, which hatchling gives to those of the wheel."""
_NOBODY = "the builder of this package <root@localhost>"
"""The project has no address yet, and a package must name a maintainer."""
_PRIVATE = "usr/lib/syncd"
_COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/syncd",
    "zsh": "usr/share/zsh/vendor-completions/_syncd",
    "fish": "usr/share/fish/vendor_completions.d/syncd.fish",
}
_OVERRIDES = """\
# Compiled here, so that dpkg need not run a script as root; the package depends on this Python.
syncd: package-installs-python-pycache-dir *
# The project has no address yet.
syncd: root-in-contact *
syncd: bogus-mail-host *
syncd: bogus-mail-host-in-debian-changelog *
# The compiled files are those of the wheels, whose hashes are locked.
syncd: unstripped-binary-or-object *
# This interpreter is a link to Debian's that finds what lies in /usr/lib/syncd.
syncd: unusual-interpreter *
# There is no bug number: nobody has filed an intent to package.
syncd: initial-upload-closes-no-bugs *
"""


def build(wheel: Path, directory: Path) -> Path:
    """Return the Debian package of a wheel, made in `directory`."""
    version = str(parse_wheel_filename(wheel.name)[1])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "syncd")
        root.mkdir(mode=0o755)
        _install(wheel, root)
        _place_documents(root, version)
        _place_units(root)
        _control(root, version)
        _settle(root)
        package = directory / f"syncd_{version}-1_{_said('dpkg', '--print-architecture')}.deb"
        pack: list[str | Path] = [
            "dpkg-deb",
            "--root-owner-group",
            "-Zxz",
            "--build",
            root,
            package,
        ]
        subprocess.run(
            pack,
            check=True,
            capture_output=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(_MADE)},
        )
    return package


def _install(wheel: Path, root: Path) -> None:
    """Put an environment with syncd and its locked dependencies below usr/lib/syncd."""
    private = root / _PRIVATE
    python = _said(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    site = private / f"lib/python{python}/site-packages"
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-compile", "--target", str(site)]
    target = ["--python-version", python, "--only-binary", ":all:"]
    for what in (("--require-hashes", "--requirement", LOCKED), ("--no-deps", wheel)):
        install: list[str | Path] = [*pip, *target, *what]
        subprocess.run(install, check=True)
        shutil.rmtree(site / "bin", ignore_errors=True)
    _forget_the_build(site)
    (private / "bin").mkdir()
    (private / "bin/python").symlink_to("../../../bin/python3")
    home = "home = /usr/bin\ninclude-system-site-packages = false\n"
    (private / "pyvenv.cfg").write_text(home, encoding="utf-8")
    start = f"#!/{_PRIVATE}/bin/python -P\nfrom syncd.__main__ import main\n\nmain()\n"
    command = root / "usr/bin/syncd"
    command.parent.mkdir()
    command.write_text(start, encoding="utf-8")
    command.chmod(0o755)
    compiled = ["-m", "compileall", "-q", "-s", str(root), "-p", "/"]
    mode = ["--invalidation-mode", "unchecked-hash"]
    subprocess.run([PYTHON, *compiled, *mode, site], check=True)


def _forget_the_build(site: Path) -> None:
    """Remove what pip notes of this machine: where it found the wheel."""
    for note in site.glob("*.dist-info/direct_url.json"):
        record = note.with_name("RECORD")
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if "direct_url.json" not in line)
        record.write_text(kept, encoding="utf-8")
        note.unlink()


def _place_documents(root: Path, version: str) -> None:
    """Put the manual page, the completions and the licence where Debian looks for them."""
    for shell, place in _COMPLETIONS.items():
        _write(root / place, _syncd(root, "completion", shell))
    documents = root / "usr/share/doc/syncd"
    _write_compressed(root / "usr/share/man/man1/syncd.1.gz", _syncd(root, "man"))
    project = Path(__file__).parents[1]
    _write_compressed(documents / "changelog.gz", (project / "CHANGELOG.md").read_text("utf-8"))
    date = "Sun, 02 Feb 2020 00:00:00 +0000"
    release = (
        f"syncd ({version}-1) unstable; urgency=medium\n\n  * changelog.gz says what changed.\n"
    )
    _write_compressed(documents / "changelog.Debian.gz", f"{release}\n -- {_NOBODY}  {date}\n")
    carried = (
        "What syncd depends on lies in /usr/lib/syncd; each has its licence in its .dist-info.\n\n"
    )
    _write(documents / "copyright", carried + (project / "LICENSE").read_text("utf-8"))
    _write(root / "usr/share/lintian/overrides/syncd", _OVERRIDES)


def _place_units(root: Path) -> None:
    """Put the units of a system where systemd looks for them, and those of a user likewise."""
    for unit in (Path(__file__).parents[1] / "systemd").iterdir():
        kind = "system" if unit.name == "syncd@.service" else "user"
        _write(root / "usr/lib/systemd" / kind / unit.name, unit.read_text("utf-8"))


def _control(root: Path, version: str) -> None:
    python = _said(PYTHON, "-c", "import sys; print(sys.version_info[1])")
    size = sum(path.lstat().st_size for path in root.rglob("*")) // 1024
    _write(
        root / "DEBIAN/control",
        f"Package: syncd\nVersion: {version}-1\n"
        f"Architecture: {_said('dpkg', '--print-architecture')}\n"
        f"Maintainer: {_NOBODY}\nInstalled-Size: {size}\nSection: net\nPriority: optional\n"
        f"Depends: python3 (>= 3.{python}~), python3 (<< 3.{int(python) + 1}), libc6 (>= 2.34)\n"
        "Recommends: git, ca-certificates\n"
        "Description: mirror of an AT Protocol repo as a folder of files, both ways\n"
        " syncd keeps a folder of JSON or Markdown files and the repo of an AT Protocol\n"
        " account the same. It saves each version before it replaces it.\n",
    )
    _write(root / "DEBIAN/md5sums", _sums(root))


def _sums(root: Path) -> str:
    files = sorted(path for path in (root / "usr").rglob("*") if path.is_file())
    names = [str(path.relative_to(root)) for path in files if not path.is_symlink()]
    done = subprocess.run(["md5sum", *names], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


def _settle(root: Path) -> None:
    """Give every file the rights and the time that do not depend on who builds."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            may_run = path.is_dir() or path == root / "usr/bin/syncd"
            path.chmod(0o755 if may_run else 0o644)
        os.utime(path, (_MADE, _MADE), follow_symlinks=False)


def _syncd(root: Path, *arguments: str) -> str:
    (site,) = (root / _PRIVATE / "lib").glob("python*/site-packages")
    environment = {"HOME": "/nonexistent", "PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"}
    command = [PYTHON, "-P", "-B", "-m", "syncd", *arguments]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _write_compressed(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])))
