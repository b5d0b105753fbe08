"""One host per rung for all laws. If there is no reference PDS, its laws fail; none is skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.rungs import (
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


REFERENCE = pytest.param("reference", marks=pytest.mark.reference)


@pytest.fixture(scope="session", params=["memory", "sandbox", REFERENCE])
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
