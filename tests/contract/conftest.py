"""One host per rung for all laws. If there is no reference PDS, its laws fail; none is skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.arroba.pds import ArrobaPds
from tests.contract.deviations import DEVIATIONS, UNPROMISED
from tests.contract.rungs import (
    ArrobaRung,
    Ground,
    HttpRung,
    MemoryRung,
    ReferenceRung,
    Rung,
    SandboxRung,
    fresh_ground,
)
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


REFERENCE = pytest.param("reference", marks=pytest.mark.reference)
ARROBA = pytest.param("arroba", marks=pytest.mark.reference)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A law that arroba is known to break has to fail on it."""
    for item in items:
        name, _, rest = item.name.partition("[")
        if not rest.startswith("arroba"):
            continue
        case = f"{name}[{rest.removeprefix('arroba-')}"
        reason = DEVIATIONS.get(name, DEVIATIONS.get(case))
        if reason is not None or name in UNPROMISED:
            known = reason or UNPROMISED[name]
            item.add_marker(pytest.mark.xfail(reason=known, strict=reason is not None))


@pytest.fixture(scope="session", params=["memory", "sandbox", REFERENCE, ARROBA])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture(scope="session", params=["sandbox", REFERENCE])
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
