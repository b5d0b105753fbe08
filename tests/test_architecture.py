"""The shape of syncd: who may import whom, and what each part never does.

Each rule lists what breaks it in one module. Every rule is held against every module, and against
violations planted on purpose, so that none of them can be blind.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from inspect import Parameter, signature
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

import pytest

from syncd.folder.batch import Replacement
from syncd.folder.replace import replace, withdraw
from syncd.folder.write import remove, write
from syncd.model import Change
from syncd.pds import Pds

ROOT = Path(__file__).parent.parent / "syncd"

FLOORS: dict[str, int] = {
    "values": -1,
    "errors": 0,
    "atproto": 1,
    "typedjson": 1,
    "forms": 2,
    "trouble": 1,
    "model": 2,
    "exchange": 2,
    "backoff": 2,
    "waiting": 2,
    "connect": 2,
    "children": 2,
    "private": 2,
    "plan": 3,
    "slips": 3,
    "merge": 3,
    "replica": 3,
    "budget": 3,
    "batches": 3,
    "folder": 3,
    "pds": 3,
    "identity": 3,
    "credentials": 3,
    "state": 3,
    "spool": 3,
    "watch": 3,
    "config": 3,
    "lock": 3,
    "neighbours": 3,
    "git": 3,
    "lexicons": 3,
    "notify": 3,
    "desktop": 3,
    "hooks": 3,
    "control": 3,
    "blobs": 4,
    "cycle": 5,
    "news": 5,
    "mirror": 6,
    "daemon": 6,
    "sandbox": 6,
    "doctor": 6,
    "prepared": 6,
    "cli": 7,
    "__main__": 8,
}
PURE = (
    *("values", "errors", "atproto", "typedjson", "forms", "model", "exchange", "backoff"),
    *("plan", "slips", "merge", "replica", "budget", "batches"),
)
PURE_IMPORTS = frozenset(
    {"__future__", "base64", "bisect", "cbor2", "collections", "contextlib", "cryptography"}
    | {"dataclasses", "decimal", "difflib", "email.utils", "enum", "functools", "hashlib"}
    | {
        "ipaddress",
        "itertools",
        "json",
        "libipld",
        "markdown_it",
        "math",
        "multiformats",
        "operator",
        "orjson",
    }
    | {"re", "regex", "reprlib"}
    | {"ruamel.yaml", "struct", "syncd", "types", "typing", "urllib.parse"}
)
"""All that the core may import: what is not here could be a clock, a disk or a network."""
IMPURE_BUILTINS = frozenset({"open", "input", "print", "breakpoint", "exec", "eval", "__import__"})
COMPILERS: Mapping[str, frozenset[str]] = {"values": frozenset({"exec"})}
"""What compiles Python as the standard library's dataclasses do: the `__init__` of a class."""

OWNERS: dict[str, frozenset[str]] = {
    "http": frozenset({"pds", "identity", "connect"}),
    **dict.fromkeys(("urllib.request", "ssl", "smtplib", "ftplib"), frozenset({"connect"})),
    "socket": frozenset({"connect", "control", "notify", "sandbox", "cli"}),
    "sqlite3": frozenset({"state"}),
    "subprocess": frozenset({"git", "cli", "folder", "desktop", "hooks"}),
    "threading": frozenset({"sandbox", "cli", "desktop", "hooks"}),
    "importlib": frozenset({"cli", "credentials", "connect"}),
    "getpass": frozenset({"cli"}),
    "sys": frozenset({"cli", "__main__", "__init__", "folder", "children", "connect"}),
    "concurrent": frozenset({"folder"}),
    **dict.fromkeys(("multiprocessing", "runpy", "pty"), frozenset[str]()),
}
"""Who may import what of the standard library touches the world. The cli's socket is journald's,
the folder's processes are syncd's own, which do half of its work, and `connect` looks for a module
that httpcore would look for with each request."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library from elsewhere: the parts that may import it, and the reason to have it."""

    parts: frozenset[str]
    reason: str


LIBRARIES: dict[str, Library] = {
    "cbor2": Library(
        frozenset({"atproto"}), "reads DAG-CBOR in C; what it is lax about is checked"
    ),
    "click": Library(frozenset({"cli"}), "parses command lines, and lays out their help"),
    "cryptography": Library(frozenset({"atproto"}), "signs and verifies on k256 and p256"),
    "dns": Library(frozenset({"identity"}), "asks DNS for the TXT record of a handle"),
    "httpcore": Library(frozenset({"connect"}), "reads for httpx, in larger pieces if told to"),
    "httpx": Library(frozenset({"connect", "identity", "pds"}), "speaks HTTP, with bounds of time"),
    "libipld": Library(frozenset({"atproto"}), "reads and writes plain records, where installed"),
    "markdown_it": Library(
        frozenset({"forms"}), "reads Markdown, for the same text without markup"
    ),
    "multiformats": Library(frozenset({"atproto"}), "knows multibase and multicodec"),
    "orjson": Library(frozenset({"atproto"}), "the same in JSON; syncd does without both"),
    "pathspec": Library(frozenset({"folder"}), "reads patterns as git reads a .gitignore"),
    "platformdirs": Library(frozenset({"private"}), "knows where an account keeps its state"),
    "regex": Library(frozenset({"atproto"}), "finds grapheme clusters, as UAX 29 has them"),
    "rich": Library(frozenset({"cli"}), "draws status and progress on terminals"),
    "ruamel": Library(
        frozenset({"forms"}), "reads the front matter of Markdown files, with places"
    ),
    "starlette": Library(frozenset({"sandbox"}), "serves the sandbox over HTTP"),
    "tomli": Library(frozenset({"cli", "config"}), "reads TOML, with line and column of a mistake"),
    "uvicorn": Library(frozenset({"sandbox"}), "serves the sandbox over HTTP"),
    "watchdog": Library(frozenset({"watch"}), "reads inotify events"),
    "websockets": Library(frozenset({"pds"}), "speaks websockets, with bounds of size"),
}
"""Every library that syncd imports. Whoever needs another adds a row with its reason."""
WRITERS: Mapping[str, frozenset[str]] = {
    "syncd.folder.write": frozenset({"write", "write_many", "remove", "keep_conflict"})
    | {"drop_conflicts"},
    "syncd.folder.batch": frozenset({"Batch"}),
    "syncd.folder.replace": frozenset({"place_new", "put_back", "replace", "withdraw"}),
    "syncd.folder.staging": frozenset({"Staging", "clear_staging", "write_files"}),
    "syncd.folder.writers": frozenset({"Apart", "serve"}),
    "syncd.folder.drafts": frozenset({"drop_twin", "place_draft", "remove_draft"})
    | {"respell_former", "rewrite_draft", "shelve", "write_draft"},
    "syncd.folder.recover": frozenset({"recover", "sweep_conflicts"}),
    "syncd.folder.respell": frozenset({"respell"}),
    "syncd.folder.migrate.rewrite": frozenset({"rewrite"}),
    "syncd.folder.disk": frozenset({"Disk"}),
}
"""What changes files in a folder, by the module that it is in; the rest of these modules reads."""
ONE_WAY = "syncd.cycle.pull.supersede"
"""The only module that replaces and removes the files of records."""
OTHER_WAYS: Mapping[tuple[str, str], str] = {
    ("syncd.cycle.pull.conflict_files", "write.keep_conflict"): "copies beside the folder",
    ("syncd.cycle.pull.conflict_files", "write.drop_conflicts"): "copies beside the folder",
    ("syncd.cycle.pull.conflict_files", "recover.sweep_conflicts"): "copies beside the folder",
    (
        "syncd.blobs.incoming",
        "disk.*",
    ): "writes to free names in blobs/, and where git has a pointer",
    ("syncd.blobs.store", "disk.*"): "writes to free names in blobs/, which hold no record",
    ("syncd.cycle.branch.kept", "disk.Disk"): "copies beside the collections",
    ("syncd.cycle.branch.kept", "disk.*"): "copies beside the collections",
    ("syncd.mirror.publishing", "drafts.drop_twin"): "one file under two names gets one",
    ("syncd.mirror.publishing", "drafts.place_draft"): "a draft is renamed to a free name",
    ("syncd.mirror.publishing", "drafts.remove_draft"): "a record's file has its content",
    ("syncd.mirror.publishing", "drafts.shelve"): "a record's file is renamed to a free name",
    ("syncd.mirror.publishing", "drafts.write_draft"): "makes a file of a free name",
    ("syncd.mirror.blobs.placing", "drafts.rewrite_draft"): "the same draft, and a blob in it",
    ("syncd.cycle.pull.drafts", "drafts.respell_former"): "renames files to free names",
    ("syncd.cycle.pulling", "recover.recover"): "ends what a crash of supersede interrupted",
    ("syncd.cycle.clone.fresh", "staging.Staging"): "makes collections that the folder lacks",
    ("syncd.cycle.clone.fresh", "writers.Apart"): "does half of that in a second process",
    ("syncd.cycle.clone.clone", "staging.clear_staging"): "removes what lies aside in .syncd",
    ("syncd.mirror.follow.filenames", "respell.respell"): "renames files to free names",
    ("syncd.mirror.follow.markdown", "rewrite.rewrite"): "writes the same record in another form",
}
"""(module, what it uses): why no version can be lost by it."""
STARTERS = re.compile(
    r"(^|\.)(create_task|ensure_future|TaskGroup|gather|Thread|Process|run_coroutine_threadsafe"
    r"|run_in_executor)$"
)
CONNECTORS = re.compile(
    r"\.(open_connection|open_unix_connection|create_connection|start_server|start_unix_server)$"
)
PROGRAM_STARTERS = frozenset(
    {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
)
OTHER_PROGRAM_STARTERS = re.compile(
    r"(^|\.)(create_subprocess_(exec|shell)|subprocess_(exec|shell)|posix_spawnp?|spawn[lv]p?e?"
    r"|fork|forkpty|startfile|pty\.spawn|click\.(edit|launch)|webbrowser\.open\w*)$"
)
"""Ways to start a program beside `subprocess`; hidden_imports has the rest of them."""
SQL_CALL = re.compile(r"\.(execute|executemany|executescript)$")
SQL_TEXT = re.compile(
    r"\s*(SELECT .+ FROM|INSERT (OR|INTO)|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX)|PRAGMA) "
)
pytestmark = pytest.mark.xdist_group("sources")  # one process parses all of them
Node = TypeVar("Node", bound=ast.AST)
MODULES_IN_A_ROOM = 22
"""The most modules that lie directly in one directory."""
LINES_OF_A_FILE = 450
IMPORTS_OF_A_MODULE = 26
"""The most modules of syncd that one of them imports."""
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@dataclass(frozen=True, slots=True)
class Module:
    """A file of `part`, the top-level part it belongs to: `atproto` for atproto/mst/node.py."""

    part: str
    tree: ast.Module

    @classmethod
    @cache
    def read(cls, path: Path) -> Module:
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        return cls(part, ast.parse(path.read_text(encoding="utf-8")))

    def nodes(self, *kinds: type[Node]) -> Iterator[Node]:
        every, found = _every(self.tree)
        those = [kind for kind in found if issubclass(kind, kinds)]
        if len(those) > 1:
            return (node for node in every if isinstance(node, kinds))
        return (node for kind in those for node in found[kind] if isinstance(node, kinds))

    def imports(self) -> Iterator[str]:
        for plain in self.nodes(ast.Import):
            yield from (alias.name for alias in plain.names)
        for node in self.nodes(ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from (f"{source}.{alias.name}" for alias in node.names)

    def calls(self) -> Iterator[str]:
        return (spelt(node.func) for node in self.nodes(ast.Call))


@cache  # a walk takes longer than a rule, and there are 20 rules
def _every(tree: ast.Module) -> tuple[list[ast.AST], dict[type[ast.AST], list[ast.AST]]]:
    """Return all nodes of a module, and those of each kind."""
    every = list(ast.walk(tree))
    found = defaultdict[type[ast.AST], list[ast.AST]](list)
    for node in every:
        found[type(node)].append(node)
    return every, found


def spelt(node: ast.expr) -> str:
    """Return what `ast.unparse` does, for a dotted name in a hundredth of the time."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
        return f"{spelt(node.value)}.{node.attr}"
    return ast.unparse(node)


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module, or of the package that an `__init__.py` makes."""
    pieces = ("syncd", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(pieces).removesuffix(".__init__")


def imported_modules(module: Module, names: Collection[str]) -> set[str]:
    """Which of `names` a module imports, wherever in it that stands, and by whatever means."""
    constants = (
        node.args[0].value
        for node in module.nodes(ast.Call)
        if spelt(node.func).endswith("import_module")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    )
    every = {*module.imports(), *(name for name in constants if isinstance(name, str))}
    return {found for name in every if (found := _module_of(name, names))}


def _module_of(name: str, names: Collection[str]) -> str | None:
    """`name`, if that is a module, or the module that it is taken from."""
    parent = name.rpartition(".")[0]
    return next((candidate for candidate in (name, parent) if candidate in names), None)


def siblings(imports: Mapping[str, Collection[str]]) -> dict[str, dict[str, set[str]]]:
    """Per package, which of its children needs which other: an import counts at the package in
    which importer and imported part ways."""
    found: dict[str, dict[str, set[str]]] = {}
    for importer, others in imports.items():
        for other in others:
            ours, theirs = importer.split("."), other.split(".")
            shared = sum(
                1
                for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))
            )
            if shared < min(len(ours), len(theirs)):
                children = found.setdefault(".".join(ours[:shared]), {})
                children.setdefault(ours[shared], set()).add(theirs[shared])
    return found


def circles(imports: Mapping[str, Collection[str]]) -> list[str]:
    """The packages whose children import each other in a circle, at whatever depth."""
    found = []
    for package, children in sorted(siblings(imports).items()):
        try:
            TopologicalSorter(children).prepare()
        except CycleError as error:
            found.append(f"{package}: {' -> '.join(error.args[1])}")
    return found


def is_below(name: str, module: str) -> bool:
    """Whether importing `name` imports `module` or something in it."""
    return name == module or name.startswith(f"{module}.")


# --- Rules ---------------------------------------------------------------------------------------


def imports_from_higher_floors(module: Module) -> Iterator[str]:
    for name in module.imports():
        assert not name.startswith("."), "imports are absolute"
        pieces = name.split(".")
        if pieces[0] != "syncd" or pieces[1:] in ([], ["__version__"]):
            continue
        other = pieces[1]
        if other != module.part and FLOORS[other] >= FLOORS[module.part]:
            yield f"imports {name} (floor {FLOORS[other]}) on floor {FLOORS[module.part]}"


def impurity(module: Module) -> Iterator[str]:
    return impurities(module) if module.part in PURE else iter(())


def impurities(module: Module) -> Iterator[str]:
    for name in module.imports():
        if not any(is_below(name, allowed) for allowed in PURE_IMPORTS):
            yield f"imports {name}"
    impure = IMPURE_BUILTINS - COMPILERS.get(module.part, frozenset())
    yield from (f"calls {name}" for name in module.calls() if name in impure)
    for _ in module.nodes(ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith):
        yield "awaits"


def imports_of_what_others_own(module: Module) -> Iterator[str]:
    for name in module.imports():
        for owned, owners in OWNERS.items():
            if is_below(name, owned) and module.part not in owners:
                yield f"imports {name}"


def imports_of_foreign_libraries(module: Module) -> Iterator[str]:
    for name in module.imports():
        library = name.partition(".")[0]
        if library == "syncd" or library in sys.stdlib_module_names:
            continue
        if library not in LIBRARIES or module.part not in LIBRARIES[library].parts:
            yield f"imports {name}"


def knowledge_of_another_edge(module: Module) -> Iterator[str]:
    edges = {"folder", "pds", "state"}
    if module.part in edges:
        for other in edges - {module.part}:
            yield from (n for n in module.imports() if is_below(n, f"syncd.{other}"))


def sql(module: Module) -> Iterator[str]:
    if module.part == "state":
        return
    yield from (name for name in module.calls() if SQL_CALL.search(name))
    for node in module.nodes(ast.Constant):
        if isinstance(node.value, str) and SQL_TEXT.match(node.value):
            yield node.value


def printing(module: Module) -> Iterator[str]:
    if module.part != "cli":
        yield from (name for name in module.calls() if name in ("print", "input"))
        for node in module.nodes(ast.Call):
            if spelt(node.func) == "os.write" and isinstance(node.args[0], ast.Constant):
                yield ast.unparse(node)


def starting_of_tasks(module: Module) -> Iterator[str]:
    # A thread draws the line about a wait, because what waits may hold the loop. Another one
    # repeats what the daemon of the demo says.
    allowed = {"threading.Thread"} if module.part == "cli" else set[str]()
    # A disk that is waited for must not keep the network waiting: see `Disk.beside`.
    if module.part == "folder":
        allowed = {"asyncio.get_running_loop().run_in_executor"}
    if module.part not in {"daemon", "sandbox", "desktop", "hooks", "blobs"}:
        started = (name for name in module.calls() if STARTERS.search(name))
        yield from (name for name in started if name not in allowed)


def leaking_of_secrets_to_programs(module: Module) -> Iterator[str]:
    """Every program starts by `subprocess.NAME(..., env=without_secrets(...))`, and so spelled."""
    for name in module.imports():
        if is_below(name, "subprocess") and name != "subprocess":
            yield f"imports {name}"
    for plain in module.nodes(ast.Import):
        yield from (a.name for a in plain.names if a.name == "subprocess" and a.asname)
    clean = {id(call.func) for call in module.nodes(ast.Call) if _has_clean_environment(call)}
    types = {id(node.value) for node in module.nodes(ast.Subscript)}
    for node in module.nodes(ast.Attribute):
        name = spelt(node)
        is_starter = name.startswith("subprocess.") and node.attr in PROGRAM_STARTERS
        if (is_starter and id(node) not in clean | types) or OTHER_PROGRAM_STARTERS.search(name):
            yield name


def _has_clean_environment(call: ast.Call) -> bool:
    given = (word.value for word in call.keywords if word.arg == "env")
    return any(
        isinstance(value, ast.Call) and spelt(value.func) == "without_secrets" for value in given
    )


def connecting(module: Module) -> Iterator[str]:
    """Beside pds and identity, which use a library; control listens on a socket of this machine."""
    if module.part not in {"control", "sandbox"}:
        yield from (name for name in module.calls() if CONNECTORS.search(name))


def writing(module: Module) -> Iterator[str]:
    """Whatever changes files in a folder, outside of `folder` itself."""
    if module.part == "folder":
        return
    for name in module.imports():
        source, _, what = name.rpartition(".")
        if what in WRITERS.get(source, ()):
            yield f"{source.rpartition('.')[2]}.{what}"
        elif name in WRITERS:
            # The module as a whole: what is used of it cannot be told.
            yield f"{name.rpartition('.')[2]}.*"
    for node in module.nodes(ast.Attribute):
        if node.attr in ("disk", "_disk"):
            yield "disk.*"


def changing(module: Module) -> Iterator[str]:
    """The public functions and classes of a module of `folder` that change files, by themselves
    or by what they call."""
    uses = {
        node.name: {
            *(name.id for name in ast.walk(node) if isinstance(name, ast.Name)),
            *(part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)),
        }
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    writers = {"disk", "_disk", "Disk"}
    for name in module.imports():
        source, _, what = name.rpartition(".")
        writers |= {what} & WRITERS.get(source, frozenset())
    while more := {name for name, used in uses.items() if used & writers} - writers:
        writers |= more
    yield from (name for name in writers & uses.keys() if not name.startswith("_"))


def hidden_imports(module: Module) -> Iterator[str]:
    hidden = {"__import__", "exec", "eval", "os.system", "os.popen"}
    hidden -= COMPILERS.get(module.part, frozenset())
    yield from (name for name in module.calls() if name in hidden or name.startswith("os.exec"))


def slow_classes(module: Module) -> Iterator[str]:
    slow = "dataclasses.dataclass"
    if module.part != "values":
        yield from (f"imports {name}" for name in module.imports() if name == slow)


Rule = Callable[[Module], Iterator[str]]


def broken(rule: Rule) -> list[str]:
    """What breaks a rule, anywhere in syncd."""
    return [
        f"{path.relative_to(ROOT)}: {what}"
        for path in modules()
        for what in rule(Module.read(path))
    ]


def test_every_module_has_a_floor() -> None:
    assert {Module.read(path).part for path in modules()} - {"__init__"} == FLOORS.keys()


def test_a_module_imports_only_from_lower_floors() -> None:
    assert broken(imports_from_higher_floors) == []


def test_the_core_is_pure() -> None:
    assert broken(impurity) == []


def test_only_state_contains_sql() -> None:
    assert broken(sql) == []


def test_only_pds_and_identity_open_connections() -> None:
    """And each other thing outside has its owners: see OWNERS."""
    assert broken(imports_of_what_others_own) + broken(connecting) == []


def test_a_part_imports_only_the_libraries_that_the_table_gives_it() -> None:
    assert broken(imports_of_foreign_libraries) == []


def test_every_row_of_the_table_of_libraries_is_used_and_has_a_reason() -> None:
    used = {name.partition(".")[0] for path in modules() for name in Module.read(path).imports()}
    assert used >= LIBRARIES.keys()
    assert all(library.reason for library in LIBRARIES.values())


def test_only_the_command_line_prints() -> None:
    assert broken(printing) == []


def test_only_the_daemon_starts_tasks() -> None:
    assert broken(starting_of_tasks) == []


def test_no_program_gets_the_secrets_of_syncd() -> None:
    assert broken(leaking_of_secrets_to_programs) == []


def test_nothing_but_supersede_replaces_or_removes_the_files_of_records() -> None:
    found = {(name_of(path), what) for path in modules() for what in writing(Module.read(path))}
    ways = {what for name, what in found if name == ONE_WAY}
    assert ways == {"write.write_many", "write.remove"}
    assert {(name, what) for name, what in found if name != ONE_WAY} == OTHER_WAYS.keys()


def test_every_function_of_folder_that_changes_files_is_known_as_a_writer() -> None:
    """A new one must be listed above, or the rule would not see who uses it.

    `root` makes the marker of a folder, before there are files in it.
    """
    rest = [path for path in (ROOT / "folder").glob("*.py") if path.stem not in ("root", "disk")]
    found = {name_of(path): set(changing(Module.read(path))) for path in rest}
    assert {name: whats - WRITERS.get(name, frozenset()) for name, whats in found.items()} == {
        name: set() for name in found
    }
    assert found["syncd.folder.write"] == WRITERS["syncd.folder.write"]


def test_folder_pds_and_state_do_not_know_each_other() -> None:
    assert broken(knowledge_of_another_edge) == []


def test_every_dataclass_is_one_that_is_made_quickly() -> None:
    """Most commands import some hundred, and use a few."""
    assert broken(slow_classes) == []


def test_no_import_hides_from_these_rules() -> None:
    assert broken(hidden_imports) == []


@pytest.mark.parametrize(
    ("writes", "name"),
    [
        (Pds.write, "swap"),
        (write, "expect"),
        (remove, "expect"),
        (Replacement, "expect"),
        (Change, "before"),
        (replace, "old"),
        (withdraw, "old"),
    ],
)
def test_no_write_can_leave_out_what_it_replaces(writes: Callable[..., object], name: str) -> None:
    assert signature(writes).parameters[name].default is Parameter.empty


def test_no_module_is_called_utils_or_helpers_or_manager() -> None:
    assert not [p for p in modules() if BANNED_NAMES & {p.stem, p.parent.name}]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_opens_with_what_it_does_and_stays_readable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.name == "__init__.py" or ast.get_docstring(Module.read(path).tree)
    assert text.count("\n") <= LINES_OF_A_FILE


def test_no_room_is_crowded() -> None:
    rooms = Counter(path.parent for path in modules() if path.name != "__init__.py")
    assert max(rooms.values()) <= MODULES_IN_A_ROOM, rooms.most_common(3)


def test_no_module_imports_half_of_syncd() -> None:
    # `values` is the standard library's `dataclass` under another name.
    made_of = {"syncd.values"}
    counts = Counter({name: len(others - made_of) for name, others in imports_of_all().items()})
    assert max(counts.values()) <= IMPORTS_OF_A_MODULE, counts.most_common(5)


def imports_of_all() -> dict[str, set[str]]:
    names = {name_of(path) for path in modules()}
    return {name_of(path): imported_modules(Module.read(path), names) for path in modules()}


def test_rooms_and_modules_import_each_other_in_no_circle() -> None:
    """Imports of types alone and within functions count."""
    assert circles(imports_of_all()) == []


# --- None of these rules is blind ----------------------------------------------------------------

PLANTED: list[tuple[Rule, str, str]] = [
    (imports_from_higher_floors, "plan", "from syncd.folder.scan import scan"),
    (imports_from_higher_floors, "plan", "from syncd import state"),
    (imports_from_higher_floors, "folder", "import syncd.pds.client"),
    (imports_from_higher_floors, "cycle", "def later():\n    from syncd.daemon import loop"),
    (imports_from_higher_floors, "daemon", "from syncd.sandbox import SandboxServer"),
    (slow_classes, "plan", "from dataclasses import dataclass, field"),
    (impurity, "plan", "import os.path"),
    (impurity, "plan", "from datetime import datetime"),
    (impurity, "atproto", "from urllib import request"),
    (impurity, "merge", "import uuid"),
    (impurity, "model", "import logging"),
    (impurity, "replica", "words = open('words').read()"),
    (impurity, "budget", "async def wait(): pass"),
    (imports_of_foreign_libraries, "cycle", "import httpx"),
    (imports_of_foreign_libraries, "pds", "import requests"),
    (imports_of_foreign_libraries, "pds", "from rich.console import Console"),
    (imports_of_foreign_libraries, "cycle", "def later():\n    import watchdog.events"),
    (imports_of_what_others_own, "cycle", "import socket"),
    (imports_of_what_others_own, "cycle", "from urllib.request import urlopen"),
    (imports_of_what_others_own, "daemon", "import http.client"),
    (imports_of_what_others_own, "folder", "import sqlite3"),
    (imports_of_what_others_own, "cycle", "from subprocess import run"),
    (imports_of_what_others_own, "cycle", "from sys import stdout"),
    (imports_of_foreign_libraries, "daemon", "from rich.console import Console"),
    (imports_of_what_others_own, "cycle", "from concurrent.futures import ThreadPoolExecutor"),
    (imports_of_what_others_own, "state", "import importlib"),
    (knowledge_of_another_edge, "state", "from syncd.folder import scan"),
    (knowledge_of_another_edge, "pds", "from syncd import state"),
    (sql, "cycle", "state._sql.execute(text)"),
    (sql, "cycle", "text = 'SELECT path FROM base'"),
    (printing, "cycle", "print('done')"),
    (printing, "daemon", "os.write(1, b'done')"),
    (starting_of_tasks, "cycle", "asyncio.create_task(job())"),
    (starting_of_tasks, "pds", "async def both():\n    async with asyncio.TaskGroup(): pass"),
    (starting_of_tasks, "cycle", "asyncio.gather(one(), two())"),
    (starting_of_tasks, "news", "Thread(target=listen).start()"),
    *(
        (leaking_of_secrets_to_programs, "git", source)
        for source in (
            "subprocess.run(['git'])",
            "subprocess.run(['git'], env=None)",
            "subprocess.Popen(['git'], env=os.environ)",
            "subprocess.Popen(['git'], env={**os.environ, **without_secrets()})",
            "subprocess.check_output(['git'], env=dict(os.environ))",
            "start = partial(subprocess.Popen, ['git'])",
            "from subprocess import Popen",
            "from subprocess import run as start",
            "import subprocess as sp",
            "asyncio.create_subprocess_exec('git', env=without_secrets())",
            "loop.subprocess_shell(factory, 'git')",
            "os.posix_spawn('/bin/sh', [], os.environ)",
            "os.spawnv(os.P_WAIT, '/bin/sh', [])",
            "click.edit('text')",
            "click.launch('https://example.com')",
        )
    ),
    (connecting, "cycle", "asyncio.open_connection('example.com', 80)"),
    (writing, "cli", "from syncd.folder.write import read_bytes, write"),
    (writing, "cycle", "def later():\n    from syncd.folder.write import remove as drop"),
    (writing, "cycle", "from syncd.folder import write"),
    (writing, "cycle", "import syncd.folder.batch"),
    (writing, "daemon", "from syncd.folder.replace import withdraw"),
    (writing, "cycle", "from syncd.folder.drafts import place_draft"),
    (writing, "cycle", "workspace.folder.disk.unlink(directory, name)"),
    (changing, "folder", "def put(folder, name):\n    folder.disk.unlink(0, name)"),
    (changing, "folder", "def put(x):\n    _put(x)\ndef _put(x):\n    x.disk.rename(0, 'a', 'b')"),
    (changing, "folder", "from syncd.folder.write import write\ndef put(x):\n    write(x)"),
    (hidden_imports, "plan", "__import__('os')"),
    (hidden_imports, "cycle", "os.execv('/bin/sh', [])"),
]


A, B, OTHER = "syncd.cycle.pull.apply", "syncd.cycle.pull.merge", "syncd.cycle.push.outbox"


@pytest.mark.parametrize(
    ("sources", "package"),
    [
        ({A: f"import {B}", B: f"from {A} import pull"}, "syncd.cycle.pull"),
        ({A: f"from {B} import x", B: f"def later():\n    import {A}"}, "syncd.cycle.pull"),
        ({A: f"if TYPE_CHECKING:\n    import {B}", B: f"import {A}"}, "syncd.cycle.pull"),
        ({A: f"import_module('{B}')", B: f"import {A}"}, "syncd.cycle.pull"),
        ({A: "from syncd.cycle.pull import merge", B: f"import {A}"}, "syncd.cycle.pull"),
        ({A: f"import {OTHER}", OTHER: f"import {B}", B: ""}, "syncd.cycle"),
        ({A: f"import {B}", B: f"import {OTHER}", OTHER: f"import {A}"}, "syncd.cycle"),
        ({"syncd.a": "import syncd.b.c", "syncd.b.c": "", "syncd.b.d": "import syncd.a"}, "syncd"),
    ],
)
def test_a_planted_circle_is_found(sources: dict[str, str], package: str) -> None:
    found = circles(
        {
            name: imported_modules(Module("", ast.parse(source)), sources)
            for name, source in sources.items()
        }
    )
    assert [line.partition(":")[0] for line in found] == [package]


def test_a_tree_without_a_circle_is_let_through() -> None:
    assert circles({A: {B}, B: {OTHER}, OTHER: {"syncd.model"}, "syncd.model": set()}) == []


@pytest.mark.parametrize(("rule", "part", "source"), PLANTED)
def test_what_is_planted_is_caught(rule: Rule, part: str, source: str) -> None:
    assert list(rule(Module(part, ast.parse(source))))


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("plan", "from syncd.model import Plan\nimport hashlib\nfrom syncd import __version__"),
        ("atproto", "from email.utils import parsedate_tz\nfrom urllib.parse import urlsplit"),
        ("cycle", "from syncd.state import State\n'Select what is from elsewhere.'"),
        ("cycle", "from syncd.folder.write import read_bytes, conflict_file"),
        ("state", "sql.execute('SELECT path FROM base')"),
        ("cli", "import sys\nprint('done', file=sys.stderr)"),
        ("cli", "import subprocess\nsubprocess.run(['vi'], env=without_secrets())"),
        ("git", "made: subprocess.Popen[bytes] = subprocess.Popen([], env=without_secrets(own))"),
    ],
)
def test_what_is_allowed_is_let_through(part: str, source: str) -> None:
    module = Module(part, ast.parse(source))
    assert [what for rule, *_ in PLANTED for what in rule(module)] == []
