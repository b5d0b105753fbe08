"""Every row: what is measured, its goal, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.blobs import blobs_besides, blobs_both_ways
from bench.clone import clone_beside_tar, clone_tenfold
from bench.fleet import many_mirrors
from bench.foreign import pull_edits
from bench.growth import at_sizes
from bench.idle import idle_daemon
from bench.latency import foreign_write_to_file, save_to_commit
from bench.one_change import one_change
from bench.outcome import Outcome
from bench.pushes import push_checkout, push_new
from bench.readers import clone_beside_readers
from bench.site import publish_from_git
from bench.stage import Stage
from bench.unchanged import status_and_help, sync_unchanged, verify_all


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        is_judged: Whether it has a goal.
        is_sized: Whether it asks how many records there are to be.
    """

    work: str
    goal: str
    measure: Callable[[Stage], Outcome]
    is_judged: bool = True
    is_sized: bool = True


ROWS = {
    "S1": Row(
        "clone of a repo from a CAR on the loopback: verified, pretty files, durable",
        "wall <= 1.9 x `tar -x` of the same tree and one sync of the file system (stretch: 1.5 x)",
        clone_beside_tar,
    ),
    "S2": Row(
        "`syncd sync` with nothing to do",
        "wall <= 2.5 x `git status` of the same tree (stretch: 2 x); ahead of unison, "
        "rclone bisync",
        sync_unchanged,
    ),
    "S3": Row(
        "file saved -> commit on the reference PDS",
        "median <= one bare putRecord + 60 ms, 95th percentile <= + 150 ms",
        save_to_commit,
        is_sized=False,
    ),
    "S4": Row(
        "push of new records to the reference PDS, a tenth of a repo's",
        "wall <= 1.12 x a bare loop that posts the same batches (stretch: 1.05 x)",
        push_new,
    ),
    "S5": Row(
        "foreign write on the reference PDS -> file on disk, by its stream",
        "median <= the stream's own delay + 100 ms",
        foreign_write_to_file,
        is_sized=False,
    ),
    "S6": Row(
        "pull of one changed record, push of one edited file, by the daemon",
        "CPU and requests <= 1.5 x those at 1,000 records",
        one_change,
    ),
    "S7": Row(
        "git checkout that changes a twentieth of the files -> all pushed",
        "wall <= 1.1 x the bare loop for those + 0.8 s (stretch: + 0.4 s)",
        push_checkout,
    ),
    "S8": Row(
        "idle daemon, for a minute",
        "resident <= 80 MB, CPU <= 0.3 %, nothing written to disk",
        idle_daemon,
    ),
    "S9": Row(
        "clone of ten times the records",
        "peak resident <= 160 MB (stretch: 120 MB); wall <= 10.5 x that of one time",
        clone_tenfold,
    ),
    "S10": Row(
        "`syncd status`; `syncd --help`",
        "<= 0.25 s (stretch: 0.15 s); <= 0.08 s",
        status_and_help,
    ),
    "S11": Row(
        "clone beside others that write JSON files from the same CAR, unverified, and sync",
        "ahead of every one (stretch: 0.7 x); CPU <= 1.1 x that of @atcute/repo (stretch: 0.8 x)",
        clone_beside_readers,
    ),
    "S12": Row(
        "`syncd verify`: every file, block and signature",
        "wall <= 3 x `sha256sum` of all files (stretch: 1.5 x)",
        verify_all,
    ),
    "S13": Row(
        "a foreign edit of each record, pulled into a mirror of all",
        "wall <= 1.5 x a clone of the same repo (stretch: 1 x)",
        pull_edits,
    ),
    "S14": Row(
        "a commit that changes a hundredth of a site, published from a fresh git clone; "
        "the site has a tenth of the records",
        "wall <= 3 x `git clone` of it (stretch: 2 x)",
        publish_from_git,
    ),
    "S15": Row(
        "blobs of 1 MB to and from the reference PDS, a five-hundredth as many as records",
        "wall <= 1.15 x a bare loop of the same four streams, each way",
        blobs_both_ways,
    ),
    "S16": Row(
        "what blobs cost: one with 500 bytes for each record, up and down; a look at a tenth as "
        "many as records, of which none has changed",
        "peak resident <= 8 MB beyond that with a small blob; <= 20 ms",
        blobs_besides,
    ),
    "S17": Row(
        "a two-hundredth as many mirrors, of 100 records each, in one process on one PDS: idle for "
        "a minute, and a foreign write -> file",
        "resident <= 250 MB (stretch: 150), CPU <= 1 %, one websocket, median <= 100 ms",
        many_mirrors,
    ),
    "sizes": Row(
        "clone, sync and status at a hundredth, a tenth and all of the records",
        "none: for the plot",
        at_sizes,
        is_judged=False,
    ),
}
