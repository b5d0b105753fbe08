"""Bring the repo's changes into the folder, and remember them with the tree that they are from.

What is about to arrive is noted before the first file; head, tree and base are recorded together
after the last. Never pushes, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.atproto.mst import Get
from syncd.cycle.decide.bookkeeping import bookkeeping, look_notes, note_look
from syncd.cycle.home import Home
from syncd.cycle.observe.remote import Sight
from syncd.cycle.observe.scope import forget_outdated, known_after
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.apply import pull_in_portions
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.conflict_files import drop_closed, is_kept, keep_conflicts, note_unshown
from syncd.cycle.pull.merge import Joined
from syncd.cycle.report import Diary
from syncd.cycle.workspace import Workspace
from syncd.folder.recover import recover
from syncd.folder.root import Folder
from syncd.model import Arrival, Memory, Problem, Step, Verdict
from syncd.state.note import Note
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Pull:
    """The pull of one cycle: the two sides, the plan after merges, and where versions are kept."""

    workspace: Workspace
    home: Home
    sight: Sight
    sides: Sides
    joined: Joined
    keeper: Keeper
    diary: Diary

    async def carry_out(self) -> Memory:
        """Bring the changes into the folder, and return what that adds to what is remembered.

        Raises as `Sight.bring`, `keep_conflicts` and `pull_in_portions`.
        """
        folder, plan = self.workspace.folder, self.joined.plan
        steps = plan.with_verdict(Verdict.PULL)
        fresh = [conflict for conflict in plan.conflicts if not is_kept(folder, conflict)]
        wanted = [step.remote for step in steps] + [conflict.remote for conflict in fresh]
        get = await self.sight.bring(self.home.pds, [cid for cid in wanted if cid is not None])
        unshown = keep_conflicts(folder, fresh, get)
        self._announce(steps)
        done = self._write(steps, get)
        books = note_unshown(bookkeeping(plan, self.sides), unshown)
        tree, notes = self._tree(books)
        self._tell(steps, done)
        # One transaction: a head without its base would hide what changed between the two.
        memory = books.and_then(tree).and_then(self.joined.memory).and_then(done)
        self.workspace.state.record(memory, notes)
        drop_closed(folder, self.sides, plan)
        return done

    def _announce(self, steps: Sequence[Step]) -> None:
        """Record what is about to arrive, so that after a stop it is not taken for an edit."""
        state, regained = self.workspace.state, self.sides.regained
        if regained:
            # They have no file because they were out of scope; base would make that a deletion.
            state.record(Memory(base=dict.fromkeys(regained)))
        state.record(Memory(waiting={s.path: (Arrival(s.path, s.remote),) for s in steps}))

    def _write(self, steps: Sequence[Step], get: Get) -> Memory:
        """Write the files of `steps`, and record each portion of many but the last."""
        seen = Memory(newest=self.sight.view.head.rev)

        def remember(portion: Memory) -> None:
            self.diary.pulled(steps, portion)
            self.workspace.state.record(portion.and_then(seen))

        return pull_in_portions(
            *(self.workspace.folder, steps, get),
            expect=self.sides.expect,
            keeper=self.keeper,
            record=remember,
        )

    def _tree(self, books: Memory) -> tuple[Memory, tuple[Note, ...]]:
        """Return the head with what its tree has anew, and the new facts of this look."""
        view, state, account = self.sight.view, self.workspace.state, self.home.account
        unnamed, notes = known_after(self.workspace, view, account)
        notes += look_notes(self.workspace, self.sides)
        note_look(self.workspace, self.joined.plan, self.sides)
        forget_outdated(self.workspace, account)
        tree = Memory(
            blocks=self.sight.known(books.base),
            waiting=unnamed,
            head=view.head if view.head != state.head() else None,
            newest=view.head.rev if view.head.rev != state.newest() else None,
            is_whole_tree=view.is_whole,
            added_nodes=view.added,
            dropped_nodes=view.dropped,
        )
        return tree, notes

    def _tell(self, steps: Sequence[Step], done: Memory) -> None:
        """Add to the log of activity what came, and what was there already."""
        self.diary.pulled(steps, done)
        self.diary.found(self.sides, self.workspace.state.base_of(self.sides.arrived))
        self.diary.adopted(self.joined.plan.with_verdict(Verdict.ADOPT))


def end_interrupted(folder: Folder, leftovers: Sequence[str]) -> Sequence[Problem]:
    """Finish or undo what a crash interrupted; return the files that a person must look at."""
    return recover(folder, leftovers) if leftovers else ()
