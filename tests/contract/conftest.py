"""One host per rung for all laws. If there is no reference PDS, its laws fail; none is skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.arroba.pds import ArrobaPds
from tests.contract.deviations import DEVIATIONS, UNPROMISED
from tests.contract.rungs import (
    AlteranRung,
    ArrobaRung,
    Ground,
    HttpRung,
    MemoryRung,
    ReferenceRung,
    Rung,
    SandboxRung,
    fresh_ground,
)
from tests.peers.install import ensure_older
from tests.peers.pds import running as alteran
from tests.reference.pds import ReferencePds


@pytest.fixture(scope="session")
def memory_rung() -> MemoryRung:
    return MemoryRung()


@pytest.fixture(scope="session")
def sandbox_rung() -> Iterator[SandboxRung]:
    rung = SandboxRung()
    yield rung
    rung.running.stop()


@pytest.fixture(scope="session")
def reference_rung(reference_pds: ReferencePds) -> ReferenceRung:
    return ReferenceRung(reference_pds)


@pytest.fixture(scope="session")
def arroba_rung(arroba_pds: ArrobaPds) -> ArrobaRung:
    return ArrobaRung(arroba_pds)


@pytest.fixture(scope="session")
def older_rung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceRung]:
    home = tmp_path_factory.mktemp("older")
    with ReferencePds.start(home, installed=ensure_older) as pds:
        yield ReferenceRung(pds)


@pytest.fixture(scope="session")
def alteran_rung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlteranRung]:
    with alteran(tmp_path_factory.mktemp("alteran")) as pds:
        yield AlteranRung(pds)


REFERENCE = pytest.param("reference", marks=pytest.mark.reference)
ARROBA = pytest.param("arroba", marks=pytest.mark.reference)
OLDER = pytest.param("older", marks=pytest.mark.peers_pds)
ALTERAN = pytest.param("alteran", marks=pytest.mark.peers_pds)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A law that a PDS of another make is known to break has to fail on it."""
    for item in items:
        name, _, rest = item.name.partition("[")
        rung = next((each for each in DEVIATIONS if rest.startswith(each)), None)
        if rung is None:
            continue
        case = f"{name}[{rest.removeprefix(rung).removeprefix('-')}"
        known = DEVIATIONS[rung]
        reason = known.get(name, known.get(case))
        by_chance = UNPROMISED.get(rung, {}).get(name)
        if reason is not None or by_chance is not None:
            strict = reason is not None
            item.add_marker(pytest.mark.xfail(reason=reason or str(by_chance), strict=strict))


@pytest.fixture(scope="session", params=["memory", "sandbox", REFERENCE, ARROBA, OLDER, ALTERAN])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture(scope="session", params=["sandbox", REFERENCE, OLDER])
def http_rung(request: pytest.FixtureRequest) -> HttpRung:
    found: HttpRung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture
async def ground(rung: Rung) -> AsyncIterator[Ground]:
    async with fresh_ground(rung) as found:
        yield found


@pytest.fixture
async def http_ground(http_rung: HttpRung) -> AsyncIterator[Ground]:
    async with fresh_ground(http_rung) as found:
        yield found
