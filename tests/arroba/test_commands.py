"""What arroba alone does, by the commands: it takes no uploads, and its operator deactivates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.pds.upload import NO_UPLOADS_HINT
from tests.arroba.pds import ArrobaPds
from tests.contract.desk import FIRST, Desk, desk_on
from tests.contract.rungs import ArrobaRung
from tests.rigs.machine import save

B, C = (f"com.example.note/{name}" for name in "bc")


@pytest.fixture
def desk(arroba_pds: ArrobaPds, tmp_path: Path) -> Iterator[Desk]:
    with desk_on(ArrobaRung(arroba_pds), tmp_path / "laptop") as found:
        yield found


def test_a_file_that_a_record_names_is_a_problem_of_that_record_alone(desk: Desk) -> None:
    """arroba takes no uploads, and says so in a 400: another file would not help."""
    (desk.folder / "cover.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save(desk.folder, B, image={"$type": "blob", "$file": "cover.png"})
    save(desk.folder, C, text="beside it")
    ran = desk.machine.run("sync", "--json", at=desk.folder)
    assert (ran.code, ran.json["pushed"]) == (3, 1)
    (problem,) = ran.json["problems"]
    assert (problem["path"], problem["hint"]) == (B, NO_UPLOADS_HINT)
    assert [desk.cid(B), desk.agrees(C)] == [None, True]


def test_a_deactivated_account_is_named_and_no_file_goes(arroba_pds: ArrobaPds, desk: Desk) -> None:
    arroba_pds.set_active(is_active=False)
    save(desk.folder, B, text="saved meanwhile")
    ran = desk.machine.run("sync", at=desk.folder)
    assert ran.code == 1
    assert "deactivated" in ran.err
    assert (desk.folder / f"{FIRST}.json").exists()
    arroba_pds.set_active(is_active=True)
    desk.machine.ok("sync", at=desk.folder)
    assert all(map(desk.agrees, (FIRST, B)))
