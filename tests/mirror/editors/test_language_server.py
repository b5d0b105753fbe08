"""VS Code's JSON language server, which Zed, Helix and Neovim use too, with our settings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import tomli

from syncd.mirror.editors.install import install
from syncd.mirror.lexicons.updating import Mirrored
from tests.cli.commands.test_lexicon import put
from tests.mirror.test_updating import place
from tests.npm import NODE, ensure_packages

POST = "app.bsky.feed.post"
HERE = Path(__file__).parent / "server"
PROGRAM = "node_modules/vscode-langservers-extracted/bin/vscode-json-language-server"
RAW = "bafkreigaknpexyvxt76zgkitavbwx6ejgfheup5oybpm77f3pxzrvwpfdi"
BLOB = {"$type": "blob", "ref": {"$link": RAW}, "mimeType": "video/mp4", "size": 3_000_000}


@dataclass(slots=True)
class Server:
    """The language server, over its standard input and output."""

    reads: IO[bytes]
    writes: IO[bytes]
    root: Path
    _number: int = 0
    _heard: list[dict[str, Any]] = field(default_factory=list)

    def _send(self, **message: Any) -> None:  # noqa: ANN401
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.reads.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.reads.flush()

    def _hear(self) -> dict[str, Any]:
        length = 0
        while (line := self.writes.readline()) != b"\r\n":
            assert line, "the language server has ended"
            name, _, value = line.decode().partition(":")
            length = int(value) if name.lower() == "content-length" else length
        message: dict[str, Any] = json.loads(self.writes.read(length))
        if "method" in message and "id" in message:
            # What it asks of an editor has no answer here.
            self._send(id=message["id"], result=None)
        return message

    def ask(self, method: str, **params: Any) -> Any:  # noqa: ANN401
        self._number += 1
        self._send(id=self._number, method=method, params=params)
        while (message := self._hear()).get("id") != self._number or "method" in message:
            self._heard.append(message)
        assert "error" not in message, message
        return message["result"]

    def tell(self, method: str, **params: Any) -> None:  # noqa: ANN401
        self._send(method=method, params=params)

    def open(self, file: str, text: str) -> str:
        uri = (self.root / file).as_uri()
        # What was parsed of one version it does not parse again.
        self._number += 1
        version = self._number
        document = {"uri": uri, "languageId": "json", "version": version, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)
        return uri

    def faults(self, file: str, text: str) -> list[tuple[int, str]]:
        """The (line, message) of each diagnostic, lines from 1."""
        uri = self.open(file, text)
        # It asks for none by itself in time that a test could wait for: an editor pulls them.
        found = self.ask("textDocument/diagnostic", textDocument={"uri": uri})["items"]
        return sorted((each["range"]["start"]["line"] + 1, each["message"]) for each in found)

    def completions(self, file: str, text: str) -> dict[str, dict[str, Any]]:
        """What may be typed at the `|` of `text`, by its label."""
        before = text.partition("|")[0]
        uri = self.open(file, text.replace("|", "", 1))
        at = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        found = self.ask("textDocument/completion", textDocument={"uri": uri}, position=at)
        return {each["label"].strip('"'): each for each in found["items"]}

    def hover(self, file: str, text: str) -> str:
        before = text.partition("|")[0]
        uri = self.open(file, text.replace("|", "", 1))
        at = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        return json.dumps(self.ask("textDocument/hover", textDocument={"uri": uri}, position=at))


def settings_of(root: Path, editor: str) -> Mapping[str, Any]:
    """What the editor would send to the server, from what `install` wrote."""
    install(Mirrored(root), [editor])
    if editor == "helix":
        found = tomli.loads((root / ".helix" / "languages.toml").read_text())
        server = found["language-server"]["vscode-json-language-server"]
        config: Mapping[str, Any] = server["config"]["json"]
        return config
    if editor == "zed":
        zed = json.loads((root / ".zed" / "settings.json").read_text())
        inner: Mapping[str, Any] = zed["lsp"]["json-language-server"]["settings"]["json"]
        return inner
    # VS Code makes URLs absolute, and patterns that begin with a slash begin at the folder.
    code = json.loads((root / ".vscode" / "settings.json").read_text())
    top = root.as_uri()
    schemas = [
        {**each, "url": top + each["url"].removeprefix(".")} for each in code["json.schemas"]
    ]
    return {"schemas": schemas}


@pytest.fixture(scope="module", params=["vscode", "helix", "zed"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = place(tmp_path_factory.mktemp("lsp") / "my notes")
    for name in (POST, "app.bsky.graph.list"):
        put(root, f"{name}/a.json", {})
    settings = {"validate": {"enable": True}, **settings_of(root, request.param)}
    installed = ensure_packages("language-server", HERE)
    with subprocess.Popen(
        [str(NODE), str(installed / PROGRAM), "--stdio"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        found = Server(process.stdin, process.stdout, root)
        completion = {"completionItem": {"snippetSupport": True}}
        capabilities = {"textDocument": {"completion": completion, "diagnostic": {}}}
        options = {"provideFormatter": True, "handledSchemaProtocols": ["file"]}
        found.ask(
            "initialize", processId=None, rootUri=root.as_uri(), capabilities=capabilities,
            initializationOptions=options,
        )  # fmt: skip
        found.tell("initialized")
        found.tell("workspace/didChangeConfiguration", settings={"json": settings})
        yield found
        found.ask("shutdown")
        found.tell("exit")


NOW = "2030-01-02T03:04:05.000Z"


@pytest.mark.tools
def test_a_good_record_has_no_error_and_a_bad_one_has_each_at_its_line(server: Server) -> None:
    good = json.dumps({"text": "x", "createdAt": NOW, "langs": ["en"], "unknown": 1})
    assert server.faults(f"{POST}/good.json", good) == []
    bad = json.dumps(
        {
            "text": 7,
            "createdAt": "today",
            "langs": ["a", "b", "c", "d"],
            "embed": {"$type": "app.bsky.embed.images", "images": [{"image": BLOB}]},
        },
        indent=2,
    )
    found = server.faults(f"{POST}/bad.json", bad)
    words = " ".join(message for _, message in found)
    assert {line for line, _ in found} >= {2, 3, 4}
    assert "This must be a datetime" in words
    assert "Accepted here: image/*" in words
    assert "maximum of 2000000" in words
    assert '"alt"' in words


@pytest.mark.tools
def test_what_is_no_record_of_a_collection_has_no_schema(server: Server) -> None:
    for file in (f".syncd/conflicts/{POST}/a.json", "notes.json", "com.example.other/a.json"):
        assert server.faults(file, '{"text": 7}') == [], file
    for file in (f"{POST}/new.draft.json", f"{POST}/x%/long.json"):
        assert server.faults(file, '{"text": 7, "createdAt": "' + NOW + '"}'), file


@pytest.mark.tools
def test_fields_kinds_tokens_and_the_time_are_completed(server: Server) -> None:
    file = f"{POST}/typing.json"
    fields = server.completions(file, '{ "text": "", | }')
    assert {"createdAt", "langs", "embed", "reply"} <= fields.keys()
    assert "documentation" in fields["langs"]
    kinds = server.completions(file, '{ "embed": { "$type": | } }')
    assert "app.bsky.embed.external" in kinds
    inner = server.completions(file, '{ "embed": { "$type": "app.bsky.embed.external", | } }')
    assert "external" in inner
    times = server.completions(file, '{ "createdAt": | }')
    assert times["now"]["textEdit"]["newText"].startswith('"$CURRENT_YEAR')
    tokens = server.completions("app.bsky.graph.list/a.json", '{ "purpose": | }')
    assert "app.bsky.graph.defs#curatelist" in tokens


@pytest.mark.tools
def test_a_field_under_the_mouse_is_explained(server: Server) -> None:
    text = '{ "te|xt": "", "langs": [] }'
    assert "primary post content" in server.hover(f"{POST}/hover.json", text)
