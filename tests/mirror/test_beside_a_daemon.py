"""A command that reads while a daemon records sees one moment, and never takes it for damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncd.cycle.served import verify_served
from syncd.cycle.verify import verify_mirror
from syncd.cycle.workspace import Workspace
from syncd.mirror.held import _decision
from syncd.mirror.standing import read_standing
from syncd.mirror.waiting import publish_version, read_unpushed
from syncd.model import Choice, Decision, Head, Held, Kind, Memory, RecordPath, Side
from syncd.state import State, open_state
from tests.rigs.device import Device, World

ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
Act = Callable[[Workspace], object]


async def mirrored(world: World) -> tuple[Device, Memory]:
    """Return a device with an edit and an ignored file, and what its daemon records next."""
    await world.write(ONE, v=1)
    device = world.device()
    await device.sync()
    state = device.mirror.state
    before = state.head()
    assert before is not None
    gone = [before.commit, before.data]
    later = world.device("later")
    await world.write(TWO, v=1)
    await later.sync()
    after = later.mirror.state.head()
    assert after is not None
    nodes = {cid: later.mirror.state.kept_node(cid) for cid in (after.commit, after.data)}
    (device.root / ".syncdignore").write_text("*two*\n")
    device.save(ONE, v=2)
    device.save(TWO, v=2)
    return device, Memory(head=after, added_nodes=nodes, dropped_nodes=gone)


def let_a_daemon_record(monkeypatch: pytest.MonkeyPatch, device: Device, memory: Memory) -> None:
    """Let another process record `memory` right after each look at the head, the first of all."""
    read = State.head

    def head_then(state: State) -> Head | None:
        found = read(state)
        monkeypatch.setattr(State, "head", read)
        with open_state(state.path) as daemon:
            daemon.record(memory)
        return found

    monkeypatch.setattr(State, "head", head_then)


def decide_a_deletion(workspace: Workspace) -> Decision:
    return _decision(workspace, Held(ONE, Side.LOCAL, "many", Kind.DELETION), Choice.DELETE)


@pytest.mark.parametrize(
    "act",
    [read_standing, read_unpushed, decide_a_deletion],
    ids=["status", "publish", "approve"],
)
async def test_what_reads_the_tree_reads_that_of_its_head(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    device, memory = await mirrored(world)
    let_a_daemon_record(monkeypatch, device, memory)
    act(device.mirror.workspace)
    assert device.mirror.state.head() == memory.head


async def test_a_decision_to_publish_is_bound_to_what_the_repo_had(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, memory = await mirrored(world)
    workspace = device.mirror.workspace
    workspace = replace(workspace, config=replace(workspace.config, push_when="ask"))
    one = device.base()[ONE]
    let_a_daemon_record(monkeypatch, device, memory)
    publish_version(workspace, ONE, one)
    assert workspace.state.decisions() == {ONE: Decision(ONE, Choice.PUBLISH, one, one)}


async def test_a_verification_finds_no_damage_in_a_tree_that_is_replaced_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, memory = await mirrored(world)
    (device.root / ".syncdignore").unlink()
    let_a_daemon_record(monkeypatch, device, memory)
    found = verify_mirror(device.mirror.workspace, world.account())
    assert {finding.path for finding in found.findings} <= {ONE, TWO}


async def test_what_the_pds_serves_is_compared_with_the_newest_head_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.write(ONE, v=1)
    device = world.device()
    await device.sync()
    state = device.mirror.state
    before = state.head()
    assert before is not None
    # The PDS still has the commit that was read first: only the state file has another one.
    after, gone = replace(before, commit=before.data), [before.commit, before.data]
    let_a_daemon_record(monkeypatch, device, Memory(head=after, dropped_nodes=gone))
    (finding,) = (await verify_served(state, world.pds())).findings
    assert (finding.path, "damaged" in finding.reason) == ("repo", False)
