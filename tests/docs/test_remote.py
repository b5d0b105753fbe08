"""docs/remote.md has what other PDSes do: what the contract found on each, and each habit."""

from __future__ import annotations

from tests.contract.deviations import DEVIATIONS, UNPROMISED
from tests.sandbox.test_habits import HABITS

from .markdown import ROOT

SERVERS = {
    "arroba": "arroba 3.1",
    "older": "@atproto/pds 0.4.217",
    "alteran": "@alteran/astro 0.8.5",
}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "remote.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|")
]


def test_each_deviation_of_a_server_has_a_row_that_says_what_syncd_does() -> None:
    found = {(server, what) for server, what, _ in (r for r in ROWS if len(r) == 3)}
    measured = {
        (SERVERS[rung], deviation.why)
        for table in (DEVIATIONS, UNPROMISED)
        for rung, laws in table.items()
        for deviation in laws.values()
    }
    assert {row for row in found if row[0] in SERVERS.values()} == measured


def test_each_habit_of_the_sandbox_has_a_row() -> None:
    assert [row[0] for row in ROWS if row[0].strip("`") in HABITS] == [f"`{h}`" for h in HABITS]


def test_the_versions_are_those_that_the_tests_install() -> None:
    pinned = "".join(
        (ROOT / "tests" / file).read_text(encoding="utf-8")
        for file in (
            "arroba/requirements.txt",
            "peers/older/package.json",
            "peers/alteran/package.json",
        )
    )
    for server in SERVERS.values():
        name, version = server.split()
        assert f'"{name}": "{version}"' in pinned or f"{name}=={version}" in pinned
