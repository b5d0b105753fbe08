"""One host per rung for all laws. If there is no reference PDS, its laws fail; none is skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.arroba.pds import ArrobaPds
from tests.contract.deviations import DEVIATIONS, UNPROMISED, Deviation
from tests.contract.rungs import (
    AlteranRung,
    ArrobaRung,
    Ground,
    HostRung,
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
    """A law that a PDS of another make is known to break has to fail on it, as it is known to."""
    for item in items:
        name, _, rest = item.name.partition("[")
        rung = next((each for each in DEVIATIONS if rest.startswith(each)), None)
        if rung is None:
            continue
        case = f"{name}[{rest.removeprefix(rung).removeprefix('-')}"
        known = DEVIATIONS[rung]
        promised = known.get(case, known.get(name))
        by_chance = UNPROMISED.get(rung, {}).get(name)
        found = promised or by_chance
        if found is not None:
            item.add_marker(expected(found, name, strict=promised is not None))


def expected(deviation: Deviation, law: str, *, strict: bool) -> pytest.MarkDecorator:
    """Mark a law to be broken by `deviation`: whatever else fails in it is a failure."""

    def is_broken(error: BaseException) -> bool:
        return deviation.explains(error, law)

    raised = pytest.RaisesExc(deviation.raises, check=is_broken)
    return pytest.mark.xfail(reason=deviation.why, raises=raised, strict=strict)


@pytest.fixture(scope="session", params=["memory", "sandbox", REFERENCE, ARROBA, OLDER, ALTERAN])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture(scope="session", params=["sandbox", REFERENCE, ARROBA, OLDER, ALTERAN])
def http_rung(request: pytest.FixtureRequest) -> HttpRung:
    found: HttpRung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture(scope="session", params=["sandbox", REFERENCE, OLDER])
def host_rung(request: pytest.FixtureRequest) -> HostRung:
    """For what pins the sandbox to the reference PDS in every word, or needs its directory."""
    found: HostRung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture
async def ground(rung: Rung) -> AsyncIterator[Ground]:
    async with fresh_ground(rung) as found:
        yield found


@pytest.fixture
async def http_ground(http_rung: HttpRung) -> AsyncIterator[Ground]:
    async with fresh_ground(http_rung) as found:
        yield found


@pytest.fixture
async def host_ground(host_rung: HostRung) -> AsyncIterator[Ground]:
    async with fresh_ground(host_rung) as found:
        yield found
