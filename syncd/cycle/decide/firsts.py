"""Object to new records that nobody may have meant to publish: of a new collection, or a draft.

A new collection waits if its name is one slip away from a collection of the repo or a known one, or
if it is a copy of one or one put aside. After `clone --adopt`, every collection waits whose files
were there before anybody agreed. Any other first record is pushed at once, and its step says that
it is the first. A new text waits if its fields mark it as a draft, as static sites do; a copy of a
record waits if its name says so. Looks at the state file, and at such texts and copies, and only if
the plan would create a record.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.atproto.syntax import parse_nsid
from syncd.cycle.decide.lexicons import KNOWN
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.errors import BadJson, FileChanged, FileProblem
from syncd.folder.names import draft_name
from syncd.folder.write import read_bytes
from syncd.model import (
    Kind,
    Plan,
    RecordPath,
    Step,
    Verdict,
    find_record_path,
    make_record_path,
    split_record_path,
)
from syncd.plan import kind_of
from syncd.slips import copied_names, extended_by, is_aside, slip_of
from syncd.state.consent import Adoption, ApprovedCollections
from syncd.values import dataclass

_FIRST = ", the first record of {} in the repo"
_MARKS = (("draft", True, "draft: true"), ("published", False, "published: false"))
"""What static sites and notebooks say of a text that is not ready."""


@dataclass(frozen=True)
class Firsts:
    """The collections of the repo, and those that a person agreed to, in one cycle."""

    workspace: Workspace
    sides: Sides

    def objection(self, step: Step) -> str | None:
        """Return why a push has to wait for a person; None if it may be sent."""
        if not _creates(step) or self.workspace.config.read_only:
            return None
        name = _collection(step)
        found = (
            self._adopted(name),
            self._new(step, name),
            self._unready(step),
            self._duplicate(step),
        )
        return "; ".join(why for why in found if why is not None) or None

    def _adopted(self, name: str) -> str | None:
        if self._adoption is None or not self._adoption.concerns(name):
            return None
        return f"the file is older than this mirror; to publish it: syncd approve {name}"

    def _new(self, step: Step, name: str) -> str | None:
        """Return why a collection that is not in the repo may be a mistake; None if it is not."""
        if name in self._in_repo or name in self._agreed or name in KNOWN:
            return None
        return self._misspelt(name) or self._copied(step, name)

    def _misspelt(self, name: str) -> str | None:
        # Nobody else gives names beside the known ones, so a short word is enough there.
        meant = slip_of(name, sorted(self._in_repo)) or slip_of(name, sorted(KNOWN), likely=4)
        if meant is None:
            return None
        return (
            f"the repo has no {name}; if you mean {meant}, move the file there and set its "
            f"$type; otherwise: syncd approve {name}"
        )

    def _copied(self, step: Step, name: str) -> str | None:
        """Return the collection that `name` may be a copy or a remainder of, by its name.

        A name that only continues another one says little: there the record has to be a copy too.
        """
        for other in sorted(self._in_repo):
            added = extended_by(name, other)
            if added and (is_aside(added) or self._is_copy(step, other)):
                return (
                    f"the repo has no {name}, which looks like a copy of {other}; to keep "
                    f"it out of the repo, rename it to {other}-{added}; otherwise: syncd "
                    f"approve {name}"
                )
        return None

    def _is_copy(self, step: Step, other: str) -> bool:
        """Return whether `other` has a file of the same key with the same content."""
        collection, rkey = split_record_path(step.path)
        path = make_record_path(parse_nsid(other), rkey)
        cid = self.workspace.state.base_of([path]).get(path)
        if cid is None:
            return False
        folder = self.workspace.folder
        try:
            read_bytes(folder, path)
            text = read_bytes(folder, step.path)[0]
            record = folder.forms.of(collection).parse(text, collection)
        except (BadJson, FileChanged, FileProblem):
            return False
        return cid_of({**record, "$type": other}) == cid

    def _unready(self, step: Step) -> str | None:
        """Return why a text may be a draft; None if a person published it."""
        folder, (collection, rkey) = self.workspace.folder, split_record_path(step.path)
        form = folder.forms.of(collection)
        if not form.bodies or step.path in self.sides.views.published:
            return None
        try:
            record = form.parse(read_bytes(folder, step.path)[0], collection)
        except (BadJson, FileChanged, FileProblem):
            # Not what this plan is about any more: then the push finds another content, and stops.
            return None
        mark = next((line for key, no, line in _MARKS if record.get(key) is no), None)
        if mark is None:
            return None
        name = f"{collection}/{draft_name(rkey, portable=folder.portable, form=form)}"
        return (
            f"{mark} in the file does not keep it out of the repo; until it is ready, "
            f"rename it to {name}; to publish it: syncd approve {step.path}"
        )

    def _duplicate(self, step: Step) -> str | None:
        """Return the record that a new one repeats, if its name says that its file is a copy."""
        collection, rkey = split_record_path(step.path)
        if step.path in self.sides.views.published:
            return None
        folder = self.workspace.folder
        for name in copied_names(rkey):
            other = find_record_path(f"{collection}/{name}")
            if other is not None and self._has(other, step.local):
                form = folder.forms.of(collection)
                draft = draft_name(rkey, portable=folder.portable, form=form)
                return (
                    f"it says what {other} says or said, and its name is that of a copy; to keep "
                    f"it out of the repo, rename it to {collection}/{draft}, else: syncd approve "
                    f"{step.path}"
                )
        return None

    def _has(self, path: RecordPath, cid: Cid | None) -> bool:
        """Return whether the file of `path` is there, and is or was `cid`.

        People copy a file before they edit it: then the copy is what the record was.
        """
        views, state = self.sides.views, self.workspace.state
        versions = (views.local.get(path), state.base_of([path]).get(path))
        if cid not in versions and all(cid != e.cid for e in self.workspace.history.events(path)):
            return False
        if path in self.workspace.folder.elsewhere:
            return True
        if path in self.sides.paths:
            return path in views.local or path in views.inert
        try:
            read_bytes(self.workspace.folder, path)
        except (FileChanged, FileProblem):
            return False
        return True

    def marked(self, plan: Plan) -> Plan:
        """Return `plan` with the first record of each new collection marked as that."""
        new: dict[str, Step] = {}
        for step in plan.with_verdict(Verdict.PUSH):
            if _creates(step) and _collection(step) not in self._in_repo:
                new.setdefault(_collection(step), step)
        if not new:
            return plan
        firsts = {step.path for step in new.values()}
        return replace(plan, steps=tuple(_marked(s) if s.path in firsts else s for s in plan.steps))

    @cached_property
    def _in_repo(self) -> frozenset[str]:
        found = {split_record_path(path)[0] for path in self.sides.views.remote}
        return frozenset((*self.workspace.state.collections(), *found))

    @cached_property
    def _agreed(self) -> frozenset[str]:
        """The collections that a person named: to `syncd approve`, or in syncd.toml."""
        approved = self.workspace.state.note(ApprovedCollections)
        names = approved.names if approved else ()
        return frozenset((*names, *self.workspace.config.collections))

    @cached_property
    def _adoption(self) -> Adoption | None:
        return self.workspace.state.note(Adoption)


def is_first(step: Step) -> bool:
    """Return whether `step` creates the first record of its collection."""
    return step.reason.endswith(_FIRST.format(_collection(step)))


def _marked(step: Step) -> Step:
    return replace(step, reason=step.reason + _FIRST.format(_collection(step)))


def _creates(step: Step) -> bool:
    return step.base is None and step.local is not None and kind_of(step) is Kind.CREATION


def _collection(step: Step) -> str:
    return split_record_path(step.path)[0]
