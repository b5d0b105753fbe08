"""`syncd lexicon update`: over a DNS and a PLC on the loopback, from good and hostile owners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncd.atproto.data import Record, cid_of
from syncd.atproto.syntax import Did, Nsid, Tid
from syncd.cli import cli
from syncd.errors import SyncdError, Unreachable
from syncd.identity.lexicons import Published
from syncd.mirror.lexicons.updating import MOST, Mirrored, Outcome, update_lexicons, wanted_of
from syncd.model import Change, RecordPath
from syncd.sandbox import MemoryPds, Sandbox
from syncd.sandbox.http.server import start
from tests.cli.commands.test_lexicon import check, put
from tests.rigs.name_server import name_server

SCHEMAS = "com.atproto.lexicon.schema"
THING, OTHER = Nsid("com.example.thing"), Nsid("com.example.other")
DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
REVS = [Tid(f"3jzfcijpj2z2{letter}") for letter in "abc"]


def lexicon(nsid: str, **properties: Any) -> Record:  # noqa: ANN401
    record: Record = {"type": "object", "properties": properties}
    main: Record = {"type": "record", "key": "any", "record": record}
    return {"$type": SCHEMAS, "lexicon": 1, "id": nsid, "defs": {"main": main}}


def place(root: Path, plc: str = "https://plc.directory") -> Path:
    """Make what `update` needs of a mirror."""
    put(root, ".syncd/marker", "00112233445566778899aabbccddeeff\n")
    put(root, "syncd.toml", f'[mirror]\ndid = "{DID}"\nplc = "{plc}"\n')
    return root


@dataclass(slots=True)
class Network:
    """What others publish, without a network."""

    records: dict[str, Record] = field(default_factory=dict)
    rev: Tid = REVS[1]
    did: Did = DID
    asked: list[Nsid] = field(default_factory=list)

    async def __call__(self, nsid: Nsid) -> Published:
        self.asked.append(nsid)
        if nsid not in self.records:
            raise Unreachable("no network")
        record = self.records[nsid]
        return Published(nsid, self.did, self.rev, cid_of(record), record)


def update(root: Path, network: Network, *names: Nsid) -> dict[str, tuple[Outcome, str]]:
    mirrored = Mirrored(root)
    wanted = list(names) or wanted_of(mirrored)
    done = asyncio.run(update_lexicons(mirrored, wanted, network, "2030-01-02T03:04:05Z"))
    return {each.nsid: (each.outcome, type(each.error).__name__) for each in done}


NEW, SAME = (Outcome.NEW, "NoneType"), (Outcome.SAME, "NoneType")
CHANGED = (Outcome.CHANGED, "NoneType")


@dataclass(frozen=True, slots=True)
class Loopback:
    """A mirror whose DNS, PLC directory and PDS are on this machine."""

    root: Path
    pds: MemoryPds
    txt: dict[str, list[str]]

    def publish(self, record: Record) -> None:
        path = RecordPath(f"{SCHEMAS}/{record['id']!s}")
        asyncio.run(self.pds.put(Change(path, None, cid_of(record), record)))

    def update(self, *names: str) -> Result:
        return CliRunner().invoke(cli, ["-C", str(self.root), "lexicon", "update", *names])


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    txt = {"_lexicon.example.com": [f"did={login.did}"]}
    with start(sandbox) as running, name_server(monkeypatch, txt):
        yield Loopback(place(tmp_path, running.url), MemoryPds(sandbox, login.did), txt)


def test_a_published_lexicon_is_resolved_proven_kept_and_used(loopback: Loopback) -> None:
    put(loopback.root, f"{THING}/one.json", {"n": "x"})
    assert check(loopback.root)[0]["without_lexicon"] == {THING: 1}
    loopback.publish(lexicon(THING, n={"type": "integer"}))
    done = loopback.update()
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{THING}  new, published by did:plc:")
    found, code = check(loopback.root)
    assert (code, [each["pointer"] for each in found["faults"]]) == (3, ["/n"])
    assert "unchanged" in loopback.update().stdout


def test_an_owner_without_the_lexicon_and_a_domain_without_an_owner_are_told_apart(
    loopback: Loopback,
) -> None:
    loopback.txt["_lexicon.two.example"] = [f"did={DID}", f"did={loopback.pds.did}"]
    done = loopback.update("--json", THING, "org.example.thing", "example.two.thing")
    found = json.loads(done.stdout)["lexicons"]
    assert done.exit_code == 3
    assert [each["outcome"] for each in found] == ["failed"] * 3
    assert "has none at rev" in found[0]["error"]
    assert "DNS names no account" in found[1]["error"]
    assert "2 accounts" in found[2]["error"]
    assert not (loopback.root / ".syncd" / "lexicons").exists()


def test_update_is_for_mirrors_and_for_nsids(tmp_path: Path, loopback: Loopback) -> None:
    assert loopback.update("no nsid").exit_code == 1
    (loopback.root / ".syncd" / "marker").unlink()
    assert loopback.update(THING).exit_code != 0


def test_it_asks_for_what_the_folder_has_no_document_of(tmp_path: Path) -> None:
    root = place(tmp_path)
    put(root, f"{SCHEMAS}/com.example.own.json", lexicon("com.example.own"))
    put(root, "com.example.own/a.json", {})
    put(root, "lexicons/com/example/mine.json", lexicon("com.example.mine", x=refer(OTHER)))
    for name in ("com.example.mine", THING, "app.bsky.feed.like"):
        put(root, f"{name}/a.json", {})
    assert wanted_of(Mirrored(root)) == sorted(
        [Nsid("app.bsky.feed.like"), OTHER, THING, Nsid(SCHEMAS)]
    )
    assert update(root, Network({THING: lexicon(THING)}), THING) == {THING: NEW}
    (root / THING / "a.json").unlink()
    (root / THING).rmdir()
    assert THING in wanted_of(Mirrored(root))


def refer(nsid: str) -> Record:
    return {"type": "ref", "ref": f"{nsid}#main"}


def test_what_a_lexicon_refers_to_is_resolved_too_also_in_a_circle(tmp_path: Path) -> None:
    root = place(tmp_path)
    network = Network(
        {
            THING: lexicon(THING, a=refer(OTHER), b=refer(THING), c=refer("app.bsky.feed.post")),
            OTHER: lexicon(OTHER, a=refer(THING), b=refer("com.example.lost"), c=refer("no nsid")),
        }
    )
    assert update(root, network, THING) == {
        THING: NEW,
        OTHER: NEW,
        "com.example.lost": (Outcome.FAILED, "Unreachable"),
    }
    assert len(network.asked) == 3


def test_a_document_with_ten_thousand_references_is_not_followed_without_end(
    tmp_path: Path,
) -> None:
    root, names = place(tmp_path), [f"com.example.n{number}" for number in range(10_000)]
    union = {"type": "union", "refs": names}
    network = Network({THING: lexicon(THING, a=union)})
    assert len(update(root, network, THING)) == MOST
    assert len(network.asked) == MOST


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (
            {"$type": SCHEMAS, "lexicon": 1, "id": THING, "defs": {"main": {"type": "no"}}},
            "BadData",
        ),
        (lexicon(OTHER), "BadData"),
        ({"$type": SCHEMAS}, "BadData"),
        ({"$type": SCHEMAS, "lexicon": 1, "id": THING, "defs": []}, "BadData"),
    ],
)
def test_what_is_no_lexicon_of_its_nsid_does_not_replace_one_that_is(
    tmp_path: Path, record: Record, error: str
) -> None:
    root = place(tmp_path)
    update(root, Network({THING: lexicon(THING)}), THING)
    before = (root / ".syncd" / "lexicons" / f"{THING}.json").read_bytes()
    assert update(root, Network({THING: record}), THING) == {THING: (Outcome.FAILED, error)}
    assert (root / ".syncd" / "lexicons" / f"{THING}.json").read_bytes() == before


def test_an_older_state_of_the_same_repo_does_not_replace_a_later_one(tmp_path: Path) -> None:
    root, strict = place(tmp_path), lexicon(THING, n={"type": "integer"})
    assert update(root, Network({THING: strict}, REVS[1]), THING) == {THING: NEW}
    old = Network({THING: lexicon(THING)}, REVS[0])
    assert update(root, old, THING) == {THING: (Outcome.FAILED, "RolledBack")}
    assert update(root, Network({THING: strict}, REVS[1]), THING) == {THING: SAME}
    # Another account of the same domain has other revs.
    old.did = Did("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb")
    assert update(root, old, THING) == {THING: CHANGED}


def test_a_kept_file_that_was_changed_by_hand_is_not_used_and_is_resolved_anew(
    tmp_path: Path,
) -> None:
    root = place(tmp_path)
    put(root, f"{THING}/one.json", {"n": "x"})
    network = Network({THING: lexicon(THING, n={"type": "integer"})})
    update(root, network, THING)
    kept = root / ".syncd" / "lexicons" / f"{THING}.json"
    kept.write_text(kept.read_text().replace("integer", "string"))
    assert check(root)[0]["without_lexicon"] == {THING: 1}
    assert update(root, network) == {THING: NEW}
    assert check(root)[1] == 3
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_link_in_the_place_of_the_cache_leads_nowhere(tmp_path: Path) -> None:
    root, elsewhere = place(tmp_path / "mirror"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / ".syncd" / "lexicons").symlink_to(elsewhere)
    done = update(root, Network({THING: lexicon(THING)}), THING)
    assert done[THING][0] is Outcome.FAILED
    assert list(elsewhere.iterdir()) == []


def test_where_nobody_answers_the_exit_code_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place(tmp_path, "http://127.0.0.1:9")
    with name_server(monkeypatch, {"_lexicon.example.com": [f"did={DID}"]}):
        done = CliRunner().invoke(cli, ["-C", str(root), "lexicon", "update", THING])
    assert done.exit_code == 69


def test_no_error_of_an_owner_stops_the_others(tmp_path: Path) -> None:
    class Hostile(Network):
        async def __call__(self, nsid: Nsid) -> Published:
            if nsid == THING:
                raise SyncdError("no proof")
            return await Network.__call__(self, nsid)

    root = place(tmp_path)
    done = update(root, Hostile({OTHER: lexicon(OTHER)}), THING, OTHER)
    assert done == {THING: (Outcome.FAILED, "SyncdError"), OTHER: NEW}
