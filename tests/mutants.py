"""Plant one bug after the other in a copy of syncd, and see a test fail for each: `make mutants`.

A bug that no test notices is a hole in the tests. Each is a text that must occur exactly once in
its module, another that takes its place, and the tests that are to notice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
MIRROR = "tests/cycle/test_mirror.py"


def died(story: str) -> str:
    """The test that lets a story die at every point."""
    name = "test_a_story_that_dies_at_any_point_ends_the_same"
    return f"tests/model/test_crashes.py::{name}[{story}]"


def acted(story: str) -> str:
    """The test that lets somebody act at every point of a story."""
    name = "test_nothing_is_lost_to_whoever_acts_at_the_worst_moment"
    return f"tests/model/test_worst_moment.py::{name}[{story}]"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`before` becomes `after` in `module`; one of `tests` must fail, chosen by `words` (-k)."""

    name: str
    module: str
    before: str
    after: str
    tests: str
    words: str = ""


MUTANTS = (
    Mutant(
        "base before the file is written", "cycle/pulling.py",
        "        state.record(Memory(waiting={s.path: (Arrival(s.path, s.remote),) for s in steps}))\n",
        "        state.record(Memory(base={s.path: s.remote for s in steps}))\n",
        died("a record edited in the repo"),
    ),
    Mutant(
        "base before the push lands", "cycle/mirror.py",
        "        pushed = await self.outbox.send(",
        "        self.state.record(Memory(base={s.path: s.local for s in steps}))\n"
        "        pushed = await self.outbox.send(",
        died("an edited file"),
    ),
    Mutant(
        "no swap on a batch", "sandbox/direct.py",
        "repo.apply([write.op for write in writes], swap=swap)",
        "repo.apply([write.op for write in writes])",
        acted("three files at once"),
    ),
    Mutant(
        "no swap on a record", "pds/client.py",
        "swap = change.before if is_guarded else xrpc.UNGUARDED", "swap = None",
        "tests/pds/test_client.py",
    ),
    Mutant(
        "the wrong swap", "cycle/mirror.py", "send(steps, sight.view.head.commit, lost)",
        "send(steps, sight.view.head.data, lost)", MIRROR, "many_changes",
    ),
    Mutant(
        "the loser of a conflict dropped", "merge/settle.py",
        "    if policy is Policy.LOCAL:", "    if policy is not Policy.REMOTE:", died("a conflict"),
    ),
    Mutant(
        "a deletion for a directory that cannot be read", "folder/scan.py",
        "        return self.unread.isdisjoint((EVERYWHERE, split_record_path(path)[0]))",
        "        return True", "tests/folder/test_scan.py",
    ),
    Mutant(
        "an invalid file taken for a deletion", "plan.py", "    if path in views.inert:",
        "    if False:", died("a file spoiled"),
    ),
    Mutant(
        "a rev compared the wrong way round", "replica.py",
        "newest is not None and rev < newest", "newest is not None and rev > newest",
        MIRROR,
    ),
    Mutant(
        "a file not synced before it takes its name", "folder/batch.py",
        "            if len(self.items) <= FEW:\n"
        "                self.folder.disk.sync_file(directory, temp)\n",
        "", died("a record edited in the repo"),
    ),
    Mutant(
        "a directory not synced after a rename", "folder/batch.py",
        "                disk.sync_directory(directory)\n", "", died("a record created in the repo"),
    ),
    Mutant(
        "a directory not synced after a deletion", "folder/write.py",
        "        folder.disk.sync_directory(directory)\n\n\ndef conflict_file", "\n\ndef conflict_file",
        died("a record deleted in the repo"),
    ),
    Mutant(
        "many files not synced", "folder/batch.py",
        "        if len(self.items) > FEW:\n            self.folder.disk.sync_all(directory)",
        "        return", died("the first sync of more files than are written one by one"),
    ),
    Mutant(
        "what came out of an exchange not looked at", "folder/replace.py",
        "    elif is_at_rest(directory, held, old):\n        disk.unlink(directory, held)\n    else:",
        "    elif True:\n        disk.unlink(directory, held)\n    else:",
        "tests/folder/test_replace.py",
    ),
    Mutant(
        "a file removed without a second look", "folder/replace.py",
        "    if is_at_rest(directory, held, old):\n        disk.unlink(directory, held)\n        return",
        "    if True:\n        disk.unlink(directory, held)\n        return",
        "tests/folder/test_replace.py",
    ),
    Mutant(
        "a new file placed over one that appeared", "folder/replace.py",
        "        _rename_new(disk, directory, temp, name)\n",
        "        disk.rename(directory, temp, name)\n", acted("the first sync of a repo"),
    ),
    Mutant(
        "a deletion sent without being proven again", "cycle/push/fill.py",
        "        return _still_gone(folder, change, directories)", "        return change", MIRROR,
        "is_back",
    ),
    Mutant(
        "keys of a map unsorted", "atproto/dagcbor.py", "sorted(", "list(",
        "tests/atproto/test_dagcbor.py",
    ),
    Mutant(
        "history after the file is gone", "cycle/pull/supersede.py",
        "        work.failed.update(self.keeper.archive(work.versions))\n", "",
        died("a conflict that the repo wins"),
    ),
    Mutant(
        "a file removed whose version is not in history", "cycle/pull/supersede.py",
        "        if seen.path not in work.failed:\n", "        if True:\n",
        "tests/cycle/pull/test_supersede.py",
    ),
    Mutant(
        "a replacement in history that did not happen", "cycle/pull/supersede.py",
        "        if text == old:\n", "        if False:\n", "tests/cycle/pull/test_supersede.py",
    ),
    Mutant(
        "a merge that forgets the repo's side", "cycle/pull/merge.py",
        "done.memory(base, blocks).and_then(Memory(waiting=pushes))", "Memory(waiting=pushes)",
        "tests/cycle/pull/test_conflicts.py", "merged_and_pushed",
    ),
    Mutant(
        "an arrival forgotten", "cycle/pulling.py",
        "        state.record(Memory(waiting={s.path: (Arrival(s.path, s.remote),) for s in steps}))\n",
        "", "tests/model/test_meanwhile.py",
    ),
    Mutant(
        "a deletion that is tried again counted twice", "state/history.py",
        " if path not in but", "", "tests/cycle/decide/test_brake.py",
    ),
    Mutant(
        "a write believed before it was seen in the tree", "cycle/push/pusher.py",
        "waiting={change.path: (Retry(change.path, TO_BE_SEEN),) for change in batch}",
        "waiting={change.path: () for change in batch}", MIRROR, "pushed_and_reverted",
    ),
    Mutant(
        "an echo told by time", "news.py",
        "        self._heard_at = _now()\n        head = self._head()\n"
        "        if head is not None and ring.commit == head.commit:\n",
        "        before, self._heard_at = self._heard_at, _now()\n        if before + 2 > _now():\n",
        "tests/test_news.py",
    ),
    Mutant(
        "a write without a guard not looked at again", "cycle/push/pusher.py",
        "        if found not in (change.after, stored):\n", "        if False:\n",
        "tests/cycle/push/test_receipts.py", "overlap",
    ),
    Mutant(
        "a folder that is not ours", "folder/root.py",
        "    if found != expected:\n        raise FolderWrong(\n            f\"{root} is not the mirror",
        "    if False:\n        raise FolderWrong(\n            f\"{root} is not the mirror",
        "tests/cycle/decide/test_brake.py", "replaced",
    ),
    Mutant(
        "a signature not checked", "replica.py", "        verify(found, key)\n", "        pass\n",
        "tests/cycle/observe/test_remote.py",
    ),
    Mutant(
        "the stat of a young file believed", "folder/read.py",
        ") and max(seen.mtime_ns, seen.ctime_ns) + RACY_NS <= seen.seen_ns", ")",
        "tests/folder/test_scan.py",
    ),
    Mutant(
        "the state file not waiting for the disk", "state/file.py",
        'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = OFF")', "tests/state/test_store.py",
    ),
    Mutant(
        "what a sparse checkout leaves out is deleted", "cycle/git/companion.py",
        "        return found.with_inert(", "        return found or found.with_inert(",
        "tests/git/test_sparse.py",
    ),
    Mutant(
        "a subtree that is not read counts as empty", "atproto/mst/read.py",
        "            yield below, before\n", "            pass\n",
        "tests/atproto/mst/test_read.py",
    ),
    Mutant(
        "a folder that another syncd has ends with the exit code of a failure", "errors.py",
        "    exit_code = 75", "    exit_code = 1", "tests/test_lock.py", "told_who_the_first_is",
    ),
    Mutant(
        "a record key of any form", "model/paths.py",
        "make_record_path(parse_nsid(collection), parse_rkey(rkey))",
        "make_record_path(parse_nsid(collection), Rkey(rkey))", "tests/test_model.py",
    ),
    Mutant(
        "a picture of any kind opens by a double click", "blobs/kinds.py",
        "    return EXTENSIONS.get(plain, OTHER_EXTENSION)",
        '    return EXTENSIONS.get(plain, "." + plain.rpartition("/")[2])',
        "tests/blobs/test_kinds.py",
    ),
    Mutant(
        "other bytes under the name of a blob", "blobs/incoming.py",
        "        if not self.is_right:\n", "        if False:\n", "tests/blobs/test_store.py",
        "other_bytes_get_no_name",
    ),
    Mutant(
        "a blob that goes with its last record", "cycle/blobs/keep.py",
        "    if not lacking:\n", "    if lacking:\n", "tests/cycle/blobs/test_keep.py",
        "the_blobs_of_a_record_that_is_deleted_here",
    ),
    Mutant(
        "a picture that goes up with what a person wrote into it", "blobs/strip.py",
        'frozenset({b"eXIf", b"tEXt", ', 'frozenset({b"eXIf", ', "tests/blobs/test_strip.py",
    ),
    Mutant(
        "a blob removed that only history names", "cycle/blobs/removal.py",
        "    for _, content in workspace.history.readable_versions():\n"
        "        found |= _named_in(content)\n",
        "", "tests/cycle/blobs/test_removal.py",
    ),
    Mutant(
        "a blob removed though not all that may name it was read", "cycle/blobs/removal.py",
        "        named = due\n", "        named = set[Cid]()\n", "tests/cycle/blobs/test_removal.py",
        "history_has_lost",
    ),
    Mutant(
        "a merge of two texts is one of them", "merge/texts.py",
        "if cid_of(side) == cid)", "if True)", "tests/merge/test_texts.py",
    ),
    Mutant(
        "a merge that its file cannot say", "merge/texts.py",
        "    if not is_exact:\n", "    if False:\n", "tests/merge/test_texts.py",
    ),
    Mutant(
        "a record comes back without its blob", "cycle/blobs/again.py",
        "        self.lacking |= found\n", "", "tests/cycle/blobs/test_again.py",
        "a_blob_that_the_pds_has_lost",
    ),
    Mutant(
        "a record that moves and names what it named before", "state/attachments.py",
        "    DELETE FROM named WHERE path = new.path;\n", "", "tests/state/test_attachments.py",
        "what_base_names_moves_with_base",
    ),
    Mutant(
        "a map with one key more is a blob", "atproto/blob.py",
        "            if fields.keys() == _FIELDS and", "            if fields.keys() >= _FIELDS and",
        "tests/atproto/test_blob.py",
    ),
    Mutant(
        "an upload is sent in chunks", "pds/http.py",
        'request.upload or "*/*", "content-length": str(upload.size)}', 'request.upload or "*/*"}',
        "tests/pds/test_blobs.py",
    ),
    Mutant(
        # The check for names above the folder is doubled by this one.
        "a hidden file, or one above the folder, is uploaded", "blobs/files.py",
        '    if any(part.startswith(".") for part in parts):', "    if False:",
        "tests/cycle/push/test_attach.py", "no_file_to_upload",
    ),
    Mutant(
        "a file that names another is taken for the record that it was",
        "cycle/decide/bookkeeping.py",
        "for path, seen in new.items() if path not in sides.attached}", "for path, seen in new.items()}",
        "tests/cycle/push/test_attach.py", "until_the_file_changes",
    ),
    Mutant(
        "one point too many", "budget.py", "        if total > room:", "        if total > room + 1:",
        "tests/test_budget.py",
    ),
    Mutant(
        "what others spend not counted", "budget.py", "        return ours if found is None else min(ours, found.remaining)",
        "        return ours", "tests/test_budget.py",
    ),
    Mutant(
        "one path twice in a batch", "batches.py",
        "            and not any(sized.change.path in self.paths for sized in more)\n", "",
        "tests/test_batches.py",
    ),
    Mutant(
        "a content that moves lost by the commit that moves it", "batches.py",
        "        return gains_too_early or loses_too_late", "        return gains_too_early",
        "tests/test_batches.py",
    ),
    Mutant(
        "a CAR that is cut taken for a whole one", "atproto/car.py",
        "        if self._held or self._to_skip:", "        if False:", "tests/atproto/test_car.py",
    ),
    Mutant(
        "a commit with a field too many", "atproto/commit.py", "sorted(value.keys() - _FIELDS)",
        "sorted(value.keys() - value.keys())", "tests/atproto/test_commit.py",
    ),
    Mutant(
        "a whole number taken for the truth", "merge/fields.py",
        "type(one) is type(other) and encode(one) == encode(other)", "one == other",
        "tests/merge/test_merge.py",
    ),
    Mutant(
        "the fields of two blobs mixed", "merge/fields.py", 'kinds[0] != "blob" and ', "",
        "tests/merge/test_merge.py",
    ),
    Mutant(
        "a record with two files", "folder/names.py", "    if right != relative:", "    if False:",
        "tests/folder/test_names.py",
    ),
    Mutant(
        "a bomb of compressed bytes", "pds/inflate.py", "        if self._left < 0:", "        if False:",
        "tests/pds/test_client.py",
    ),
    Mutant(
        "a handle that somebody else's document names", "identity/resolver.py",
        "        if document.handle != handle:", "        if False:", "tests/identity/test_identity.py",
    ),
    Mutant(
        "the DID document of another", "identity/document.py", '    if fields.get("id") != did:',
        "    if False:", "tests/identity/test_identity.py",
    ),
    Mutant(
        "a secret that others may read", "credentials/secretfile.py",
        "    if mode & _OTHERS:", "    if False:",
        "tests/credentials/test_store.py",
    ),
    Mutant(
        "a row with a flipped bit believed", "state/damage.py", "    if checksum(*values) != kept:",
        "    if False:", "tests/state/test_damage.py", "value_that_is_not_as_written",
    ),
    Mutant(
        "a spooled block believed without its hash", "spool.py",
        "if section.startswith(cid) and is_content_of(block, cid)", "if section.startswith(cid)",
        "tests/test_spool.py",
    ),
    Mutant(
        "a queue of events that overflowed", "watch/queue.py",
        "            self._on_loss(is_overflow=event.is_queue_overflow)", "            pass",
        "tests/watch/test_watcher.py", "overflow",
    ),
    Mutant(
        "a save that goes on taken for a finished one", "watch/watcher.py",
        "        is_sure = not (self._everywhere or self._unfinished or is_many)",
        "        is_sure = not (self._everywhere or is_many)", "tests/watch/test_watcher.py",
    ),
    Mutant(
        "a mirror of nobody", "config/file.py", '    if "did" not in values:', "    if False:",
        "tests/config/test_config.py",
    ),
    Mutant(
        "the environment not heard", "config/file.py", "        if environ.get(name):",
        "        if False:", "tests/config/test_config.py",
    ),
    Mutant(
        "a program that gets the password", "children.py", "name not in (*SECRETS, *OWN)",
        "name not in OWN", "tests/test_children.py",
    ),
    Mutant(
        "an open file left open", "private/directory.py", "(stat.S_ISREG(mode) or stat.S_ISDIR(mode))",
        "stat.S_ISDIR(mode)", "tests/mirror/test_credentials.py", "what_was_open",
    ),
    Mutant(
        "a wait that nobody hears of", "waiting.py", "self._now.append(wait)", "pass",
        "tests/cli/screen/test_waits.py", "long_wait",
    ),
    Mutant(
        "a full disk taken for a mistake", "trouble.py", "if error.errno not in PASSING:",
        "if error.errno in PASSING:", "tests/test_lock.py", "disk_in_trouble",
    ),
    Mutant(
        "a mark of another program overlooked", "neighbours/sharing.py",
        "places = [root.absolute(), *root.absolute().parents]", "places = [root.absolute()]",
        "tests/neighbours/test_sharing.py", "in_the_folder_or_above",
    ),
    Mutant(
        "a setting in a comment believed", "neighbours/autosave.py", '^[^/\\n]*"files', '"files',
        "tests/neighbours/test_autosave.py", "saves_by_itself",
    ),
    Mutant(
        "a doubt that a look at some files ends", "cycle/decide/doubt.py",
        "    return is_complete and is_settled and all(map(look.absent, unseen))",
        "    return is_settled", "tests/cycle/test_witness.py", "cannot_be_listed",
    ),
    Mutant(
        "a lost state file made anew without a doubt", "state/file.py",
        "State(_create(path, did, marker, LOST), path)", "State(_create(path, did, marker), path)",
        "tests/cycle/test_lost_state.py", "says_by_itself",
    ),
    Mutant(
        "a submodule that git emptied taken for deletions", "cycle/git/absent.py",
        "work.left_out(), work.empty_submodules()", "work.left_out(), set[str]()",
        "tests/git/test_index_forms.py", "empties_it",
    ),
    Mutant(
        "the token of before believed in doubt", "cycle/witness.py",
        "(new,) if found.doubt else (new, old)", "(new, old)",
        "tests/cycle/test_witness.py", "keeps_a_doubt",
    ),
    Mutant(
        "a lock for two", "lock.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "tests/test_lock.py",
    ),
    Mutant(
        "a merge that waits for a person not seen", "git/repository.py",
        "        return self.is_locked() or self.operation() is not None",
        "        return self.is_locked()", "tests/git/test_repository.py",
    ),
    Mutant(
        "a lock of git that is minutes old believed for ever", "git/repository.py",
        "            return time.time() - self.lock.stat().st_mtime < STALE_SECONDS",
        "            return self.lock.stat().st_mtime > 0", "tests/git/test_repository.py",
    ),
    Mutant(
        "the watchdog of another process fed", "notify.py",
        '    is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())',
        "    is_ours = True", "tests/test_notify.py",
    ),
    Mutant(
        "markup of a server on the desktop", "desktop.py", "title, escape(text)]", "title, text]",
        "tests/test_desktop.py", "no_markup",
    ),
    Mutant(
        "another user listened to", "control.py",
        '    if _user(writer.get_extra_info("socket")) not in (os.geteuid(), 0):', "    if False:",
        "tests/test_control.py", "another_user",
    ),
    Mutant(
        "a file that JSON cannot say read as JSON", "cycle/observe/inexact.py",
        "        if cid is None or block is None or self.forms.of(collection).is_exact(block, collection):",
        "        if True:", "tests/cycle/observe/test_inexact.py",
    ),
    Mutant(
        "a form that is every collection's", "forms/forms.py",
        "            if name == collection:", "            if False:",
        "tests/forms/test_letters.py", "its_own_form",
    ),
    Mutant(
        "a session that is printed with its token", "exchange.py",
        "    access: str = field(repr=False)", "    access: str = field()",
        "tests/pds/test_client.py", "in_memory",
    ),
    Mutant(
        "a deletion whose file was moved to where it is no record", "cycle/decide/moves.py",
        "            kept[record.path] = _moved(record.path, place)", "            pass",
        "tests/cycle/push/test_moves.py",
    ),
    Mutant(
        "a deletion whose file is being moved while the folder is looked at", "cycle/decide/moves.py",
        "            awaited[record.path] = place.unmet", "            pass",
        "tests/cycle/decide/test_trace.py", "awaited",
    ),
    Mutant(
        "a clone that is whole before it is", "cycle/clone/clone.py",
        "            if proven is not None and not proven.lost:",
        "            if proven is not None:", "tests/cycle/clone/test_clone.py",
    ),
    Mutant(
        "a ring for nothing as fast as any", "news.py", "        if self._futile_looks < FUTILE_RINGS:",
        "        if True:", "tests/test_news.py", "nothing",
    ),
    Mutant(
        "a cycle that hangs keeps its pulse", "daemon/pulse.py",
        "            if now is not None and now != before:", "            if now is not None:",
        "tests/daemon/test_fleet.py", "hangs",
    ),
    Mutant(
        "a look everywhere forgotten for one file", "daemon/bell.py",
        "        self._everywhere = self._everywhere or dirty is None",
        "        self._everywhere = dirty is None", "tests/daemon/test_loop.py",
    ),
    Mutant(
        "a refresh token that was revoked", "sandbox/sessions.py",
        "        if token is None or token.expires <= self._clock():", "        if token is None:",
        "tests/sandbox/test_accounts.py",
    ),
    Mutant(
        "the disk that is above the one of the folder", "doctor/measure.py",
        "            if len(point) >= longest and path.is_relative_to(point):",
        "            if path.is_relative_to(point):", "tests/doctor/test_measure.py",
    ),
    Mutant(
        "what a server sent steers the terminal", "cli/screen/output.py",
        "        for line in broken(_shown(text), columns(sys.stderr)):",
        "        for line in broken(text, columns(sys.stderr)):", "tests/cli/screen/test_output.py",
    ),
    Mutant(
        "an address of this machine taken for a public one", "connect.py",
        "[address for address in addresses if is_public_address(ip_address(address))]",
        "[address for address in addresses if ip_address(address)]", "tests/test_connect.py",
        "address_of_a_machine",
    ),
    Mutant(
        "numbered names taken for slips", "slips.py",
        '    if _DIGITS.sub("", one) == _DIGITS.sub("", other):', "    if one == other:",
        "tests/test_slips.py", "family",
    ),
    Mutant(
        "a passing file published", "cycle/decide/timing.py",
        "        return is_new and is_passing(split_record_path(item.path)[1])",
        "        return False", "tests/cycle/decide/test_timing.py", "passing_file",
    ),
    Mutant(
        "a copy before an edit published", "cycle/decide/firsts.py",
        "all(cid != e.cid for e in self.workspace.history.events(path))", "True",
        "tests/cycle/decide/test_firsts.py", "before_an_edit",
    ),
    Mutant(
        "a fault of others held against an edit", "cycle/lexicons/court.py",
        "        return new_faults(self._faults(*split_record_path(path), before), found)",
        "        return found", "tests/cycle/lexicons/test_judge.py", "had_before",
    ),
    Mutant(
        "a misspelt key of others held against an edit", "cycle/lexicons/dollar.py",
        "    return any(each.entries not in before for each in odd)", "    return True",
        "tests/cycle/lexicons/test_dollar.py", "edited_and_renamed",
    ),
    Mutant(
        "a lexicon from beside the folder", "cycle/lexicons/library.py",
        "            nsid = parse_nsid(text)\n", "            nsid = Nsid(text)\n",
        "tests/cycle/lexicons/test_judge.py", "lead_nowhere",
    ),
    Mutant(
        "a bundle that never grows old", "lexicons/bundle.py",
        "        return self.age_days(now) > OLD_DAYS", "        return False",
        "tests/lexicons/test_bundle.py", "age",
    ),
    Mutant(
        "a fault of base taken for a new one", "atproto/lexicon/fault.py",
        "ours[fault.rule] > theirs[fault.rule]", "ours[fault.rule]",
        "tests/atproto/lexicon/test_catalog.py", "is_not_new",
    ),
    Mutant(
        "a true that is a number for a lexicon", "atproto/lexicon/compiling.py",
        "        if type(value) is not int or abs(value)",
        "        if not isinstance(value, int) or abs(value)",
        "tests/atproto/lexicon/test_catalog.py", "breaks_a_rule",
    ),
    Mutant(
        "a lexicon that nobody signed", "atproto/proof.py",
        "        verify(commit, key)\n", "        key.did_key\n",
        "tests/identity/test_lexicons.py", "not_proven",
    ),
    Mutant(
        "a lexicon older than the one before", "mirror/lexicons/updating.py",
        "published.rev < before.rev", "published.rev > before.rev + '~'",
        "tests/mirror/test_updating.py", "older",
    ),
    Mutant(
        "settings of others taken out with ours", "mirror/editors/edits.py",
        "        ours = [item for item in node.inside if is_ours(_shown(text, item))]",
        "        ours = [*node.inside]",
        "tests/mirror/editors/test_edits.py", "never_touched",
    ),
    Mutant(
        "a pattern that fits nothing is no error", "mirror/selection.py",
        "    return [name for name in names if not _meant(name, every)]",
        "    return []", "tests/mirror/test_verbs.py", "without_a_conflict",
    ),
    Mutant(
        "pauses that a success does not shorten", "backoff.py",
        "        return replace(self, failures=0)", "        return self", "tests/test_backoff.py",
    ),
    Mutant(
        "values compared by a field that says nothing of them", "values/classes.py",
        "    names = [field.name for field in fields(cls) if field.compare]",
        "    names = [field.name for field in fields(cls)]",
        "tests/values/test_classes.py",
    ),
    Mutant(
        "true taken for a whole number", "typedjson.py",
        "        return value if type(value) is kind else _refuse(_PLAIN[kind])",
        "        return value if isinstance(value, kind) else _refuse(_PLAIN[kind])",
        "tests/test_typedjson.py",
    ),
    Mutant(
        "an option offered after --", "prepared/tab.py",
        "    if is_option and \"--\" not in words:\n",
        "    if is_option:\n",
        "tests/prepared/test_prepared.py", "click",
    ),
    Mutant(
        "the report of each cycle kept", "cli/host/reporter.py",
        "        self.tally.add(report, now - self._started, now)\n",
        "        self.tally.add(report, now - self._started, now)\n"
        "        _waiting.__dict__.setdefault('kept', []).append(report)\n",
        "tests/daemon/test_endurance.py",
    ),
    Mutant(
        "an edit of the repo gives way to a deletion in git", "cycle/branch/one_way.py",
        "    if policy is Policy.LOCAL and step.local is not None:\n",
        "    if policy is Policy.LOCAL:\n",
        "tests/git/test_one_way.py", "both_changed",
    ),
    Mutant(
        "what is open is forgotten", "cycle/branch/trees.py",
        "    base |= mark.open\n",
        "",
        "tests/git/test_one_way.py", "an_edit_that_another_program_takes_back",
    ),
    Mutant(
        "a script that changed runs", "hooks/table.py",
        "            event: [*command, *map(_identity, self.files(command))]\n",
        "            event: [*command]\n",
        "tests/hooks/test_queue.py", "any_change",
    ),
    Mutant(
        "an older state file written over the open one is mixed with its log", "state/turns.py",
        "            return alone is not None\n",
        "            return False\n",
        "tests/cycle/test_mixed_state.py", "written_over_that_of_a_running_syncd_is_not_mixed",
    ),
    Mutant(
        "what is kept outside does not come along with the state", "cycle/witness.py",
        "    if outside is not None and outside.turn < turn:\n",
        "    if False:\n",
        "tests/cycle/test_mixed_state.py", "put_back_after_it_ended",
    ),
    Mutant(
        "a record that the PDS lost counts as changed by others", "cycle/push/looks.py",
        "        if found != change.before and not is_lost:\n",
        "        if found != change.before:\n",
        "tests/cycle/push/test_habits.py", "equal_records_of_which_one_push",
    ),
    Mutant(
        "what was written again is not watched", "cycle/push/keeping.py",
        "self.workspace.state.base_with(gone) | dict(known.again) | after)",
        "self.workspace.state.base_with(gone) | after)",
        "tests/cycle/push/test_habits.py", "equal_records_of_which_one_push",
    ),
    Mutant(
        "a write without an answer is not listened for", "cycle/push/pusher.py",
        "                    self.answers.overheard.take_silence(change)\n",
        "",
        "tests/cycle/push/test_overheard.py", "write_without_an_answer",
    ),
    Mutant(
        "each poll of a PDS that fails begins a repo", "pds/client.py",
        "            is_failing = is_poll and isinstance(error, Unreachable)\n",
        "            is_failing = False\n",
        "tests/pds/test_latest.py", "a_poll_of_a_pds_that_fails",
    ),
)  # fmt: skip


def planted(mutant: Mutant) -> str:
    """The module with its bug. Raises ValueError unless the text to change is there exactly once."""
    text = (ROOT / "syncd" / mutant.module).read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        raise ValueError(f"{mutant.name}: {text.count(mutant.before)} places in {mutant.module}")
    return text.replace(mutant.before, mutant.after)


@contextmanager
def a_copy() -> Iterator[Path]:
    """Another checkout of what the tests need."""
    with TemporaryDirectory(prefix="syncd-mutant-") as place:
        copy = Path(place)
        for name in ("syncd", "tests", "docs", "systemd"):
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
        for name in ("pyproject.toml", "ARCHITECTURE.md", "README.md"):
            shutil.copy(ROOT / name, copy / name)
        yield copy


def passes(mutant: Mutant, copy: Path) -> bool:
    """False if one of the mutant's tests fails; raises ValueError if none was run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.tests]
    chosen = ["-k", mutant.words] if mutant.words else []
    done = subprocess.run(
        [*command, *chosen, "-m", "not reference"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise ValueError(
            f"{mutant.name}: pytest ended with {done.returncode}: {done.stdout[-800:]}"
        )
    return done.returncode == 0


def check_healthy(mutants: Sequence[Mutant]) -> None:
    """The tests pass where no bug is planted: else their failing would say nothing."""
    with a_copy() as copy:
        for mutant in {(m.tests, m.words): m for m in mutants}.values():
            if not passes(mutant, copy):
                raise ValueError(f"{mutant.tests} fails without any bug")


def survivors(mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    with a_copy() as copy:
        for mutant in mutants:
            module = copy / "syncd" / mutant.module
            module.write_text(planted(mutant), encoding="utf-8")
            is_noticed = not passes(mutant, copy)
            # With the time that it had: by that Python knows what it has compiled.
            shutil.copy2(ROOT / "syncd" / mutant.module, module)
            sys.stdout.write(f"{'noticed ' if is_noticed else 'SURVIVES'}  {mutant.name}\n")
            sys.stdout.flush()
            if not is_noticed:
                yield mutant


def main(words: Sequence[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    started = time.monotonic()
    check_healthy(chosen)
    left = list(survivors(chosen))
    seconds = time.monotonic() - started
    noticed = len(chosen) - len(left)
    sys.stdout.write(f"{len(chosen)} bugs planted, {noticed} noticed, in {seconds:.0f} s\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
