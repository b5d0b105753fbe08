"""Make the lexicons that syncd ships, from one pinned npm package.

    python -m tests.reference.lexicon_bundle

The bundle holds every record type of the package, and every document that these refer to, whole. To
renew it, change the version, its integrity and its day, and run this again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.npm import NODE, environment, npm

PACKAGE = "@atproto/api"
VERSION = "0.21.0"
PUBLISHED = "2026-09-27"
INTEGRITY = (
    "sha512-UBPhjUIIrJ1KtVRv3b34QwQgoD6jG7fqcLqMRmZL27HT"
    "s/Jz2CMVTCdzP3gh0LQaXGWy7tPjGtVA3i6+YcH/bg=="
)
LICENSES = "MIT OR Apache-2.0"
ROOT = Path(__file__).parents[2]
PLACE = ROOT / "syncd" / "lexicons"
READ = (
    "import('@atproto/api').then(m => console.log(JSON.stringify(m.schemas ?? "
    "[...m.lexicons ?? new m.AtpBaseClient().lex])))"
)


def main() -> None:
    """Fetch the package, check it, and write the bundle and its licence."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        archive = fetch(directory)
        call([*npm("install", "--ignore-scripts", "--silent", str(archive))], directory)
        documents = json.loads(call([str(NODE), "--eval", READ], directory))
        licence = (directory / "node_modules" / PACKAGE / "LICENSE.txt").read_text(encoding="utf-8")
    # The package names the licences; the MIT licence wants its text to come along.
    _, permission, rest = (ROOT / "LICENSE").read_text(encoding="utf-8").partition("Permission is")
    text = f"{licence.strip()}\n\nMIT License\n\n{permission}{rest}"
    (PLACE / "LICENSE-atproto.txt").write_text(text, encoding="utf-8")
    (PLACE / "bundle.json").write_text(bundle(documents), encoding="utf-8")


def fetch(directory: Path) -> Path:
    """Download the package as npm has it, and refuse any other content."""
    call(npm("pack", f"{PACKAGE}@{VERSION}", "--silent"), directory)
    (archive,) = directory.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        sys.exit(f"{archive.name} is sha512-{digest}, not {INTEGRITY}")
    return archive


def call(command: list[str], directory: Path) -> str:
    done = subprocess.run(
        command, cwd=directory, env=environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def bundle(documents: list[dict[str, Any]]) -> str:
    """The text of bundle.json: what it is, then one document a line."""
    about = {
        "package": PACKAGE,
        "version": VERSION,
        "published": PUBLISHED,
        "licenses": LICENSES,
        "integrity": INTEGRITY,
    }
    lines = [
        json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        for document in needed({each["id"]: plain(each) for each in documents})
    ]
    head = json.dumps(about, indent=1).removesuffix("\n}")
    return head + ',\n "lexicons": [\n' + ",\n".join(lines) + "\n]}\n"


def plain(value: Any) -> Any:  # noqa: ANN401
    """A document as it is published: the package writes `lex:` before references."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.removeprefix("lex:") if isinstance(value, str) else value


def needed(documents: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every record type, and what these refer to, at whatever distance."""
    kinds = {
        name: document["defs"].get("main", {}).get("type") for name, document in documents.items()
    }
    todo, found = [name for name, kind in kinds.items() if kind == "record"], set[str]()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [other for other in referred(documents[name]) if other]
    return [documents[name] for name in sorted(found)]


def referred(value: Any) -> Iterator[str]:  # noqa: ANN401
    """The documents that a definition refers to; empty for its own."""
    if isinstance(value, dict):
        references = [value["ref"]] if value.get("type") == "ref" else []
        references += value["refs"] if value.get("type") == "union" else []
        yield from (each.partition("#")[0] for each in references)
        for item in value.values():
            yield from referred(item)
    elif isinstance(value, list):
        for item in value:
            yield from referred(item)


if __name__ == "__main__":
    main()
