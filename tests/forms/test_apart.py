"""Nothing outside of `syncd.forms` knows which form a file has."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.test_architecture import ROOT, Module, modules, name_of, spelt

pytestmark = pytest.mark.xdist_group("sources")  # one process parses all of them
TEXTS = frozenset({"jsontext", "restyle", "deep", "inexact", "jsonplaces"})
"""The modules of `atproto` that know the text of a JSON file."""
NO_TEXT = frozenset({"record_of", "TOKEN"})
"""What is in them and is about no file: a block's record, and what JSON is made of."""
NAMING = {
    **dict.fromkeys(("is_draft", "is_record_like", "drafted_name", "record_of_draft"), 1),
    **dict.fromkeys(("marked", "parse_conflict_name"), 1),
    "meant_path": 2,
    **dict.fromkeys(("file_name", "former_file_name", "draft_name", "parse_file_name"), 9),
    **dict.fromkeys(("relative_path", "record_path_of", "conflict_name", "conflict_file"), 9),
    **dict.fromkeys(("read_record", "write_files", "merge_texts"), 9),
}
"""What depends on the form of a file, and after how many arguments that one can be given."""
SOURCES = ("syncd.folder.", "syncd.merge.")
"""Where that is imported from; other modules may have other things of these names."""
OTHER_FILES = {
    "syncd.prepared.known": "what Tab knows of the commands",
    "syncd.prepared.help": "the texts of --help",
    "syncd.prepared.offer": "lexicon documents, and schemas for editors",
    "syncd.cycle.lexicons.resolved": "lexicons that were resolved",
    "syncd.mirror.editors.install": "schemas for editors, and settings of them",
    "syncd.mirror.editors.kinds": "which schemas were written, and settings of editors",
    "syncd.cycle.witness": "what a mirror was when it was last seen, for all mirrors of an account",
    "syncd.cycle.outside": "that a mirror was in a folder, for one whose `.syncd` was removed",
    "syncd.identity.resolver": "a DID document",
    "syncd.lexicons.bundle": "the lexicons that come with syncd",
    "syncd.neighbours.autosave": "settings of editors",
    "syncd.pds.stream": "a word of a Jetstream's protocol",
    "syncd.sandbox.repo.storage": "an account of the sandbox",
    "syncd.state.activity": "what came in and went out, one JSON object a line",
}
"""Who names JSON files of another kind, and of which."""


NAMES = "from syncd.folder.names import is_draft, meant_path, record_path_of, relative_path\n"


def imports_of_texts(module: Module) -> Iterator[str]:
    for name in module.imports():
        _, _, inside = name.partition("syncd.atproto.")
        source, _, what = inside.partition(".")
        if source in TEXTS and what not in NO_TEXT:
            yield f"imports {name}"


def endings(module: Module) -> Iterator[str]:
    """Every text in the program with an ending of files in it; documentation may name one."""
    documents = {
        id(node.value) for node in module.nodes(ast.Expr) if isinstance(node.value, ast.Constant)
    }
    for node in module.nodes(ast.Constant):
        if isinstance(node.value, str) and id(node) not in documents and ".json" in node.value:
            yield repr(node.value)


def names_without_a_form(module: Module) -> Iterator[str]:
    """Calls that leave the form to the default, or hand on a function that would."""
    known = {name.rpartition(".")[2] for name in module.imports() if name.startswith(SOURCES)}
    if known & {"names", "write", "read", "staging", "texts"}:
        known |= NAMING.keys()  # the module as a whole
    told = set[int]()
    for call in module.nodes(ast.Call):
        asked = [call.func]
        if spelt(call.func) == "partial":
            asked = [call.args[0]]
        is_told = bool({word.arg for word in call.keywords} & {"form", "forms"})
        for function in asked:
            least = NAMING.get(_last(function)) if _last(function) in known else None
            if least is not None and (is_told or len(call.args) > least):
                told.add(id(function))
    for node in module.nodes(ast.Name, ast.Attribute):
        is_left = id(node) not in told and isinstance(getattr(node, "ctx", None), ast.Load)
        if is_left and _last(node) in NAMING.keys() & known:
            yield ast.unparse(node)


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def outside() -> Iterator[tuple[str, Module]]:
    """Every module of syncd that is to know nothing of a form."""
    for path in modules():
        name = name_of(path)
        if path.is_relative_to(ROOT / "forms") or name.removeprefix("syncd.atproto.") in TEXTS:
            continue
        yield name, Module.read(path)


def test_no_other_module_reads_or_writes_the_text_of_a_form() -> None:
    assert [f"{name} {what}" for name, m in outside() for what in imports_of_texts(m)] == []


def test_no_other_module_names_the_ending_of_a_form() -> None:
    found = {name: list(endings(module)) for name, module in outside()}
    assert {name for name, what in found.items() if what} == OTHER_FILES.keys()


def test_each_name_of_a_file_is_made_or_read_with_the_form_of_its_folder() -> None:
    found = [
        f"{name} {what}"
        for name, module in outside()
        if name != "syncd.folder.names"
        for what in names_without_a_form(module)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (imports_of_texts, "from syncd.atproto.jsontext import parse_record"),
        (imports_of_texts, "def later():\n    from syncd.atproto.restyle import restyled as other"),
        (imports_of_texts, "from syncd.atproto import inexact"),
        (imports_of_texts, "import syncd.atproto.jsontext"),
        (imports_of_texts, "from syncd.atproto.inexact import record_of, file_of"),
        (endings, "name = stem + '.json'"),
        (endings, "name = f'{stem}.draft.json'"),
        (endings, "say('its name does not end with .json')"),
        (names_without_a_form, NAMES + "relative_path(path, portable=folder.portable)"),
        (names_without_a_form, "from syncd.folder import names\nnames.relative_path(path)"),
        (names_without_a_form, NAMES + "filter(is_draft, names)"),
        (names_without_a_form, NAMES + "partial(record_path_of, portable=True)"),
        (names_without_a_form, NAMES + "is_draft(name)"),
        (names_without_a_form, NAMES + "meant_path(collection, name)"),
    ],
)
def test_what_is_planted_is_caught(rule: object, source: str) -> None:
    assert callable(rule)
    assert list(rule(Module("cycle", ast.parse(source))))


@pytest.mark.parametrize(
    "source",
    [
        "from syncd.atproto.inexact import record_of",
        "from syncd.atproto.data import cid_of",
        '"""The file is rkey.json."""',
        NAMES + "relative_path(path, portable=folder.portable, forms=folder.forms)",
        NAMES + "partial(record_path_of, forms=folder.forms)",
        NAMES + "is_draft(name, form)",
        "json_bytes = 1",
    ],
)
def test_what_is_allowed_is_let_through(source: str) -> None:
    module = Module("cycle", ast.parse(source))
    rules = (imports_of_texts, endings, names_without_a_form)
    assert [what for rule in rules for what in rule(module)] == []
