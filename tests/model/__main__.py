"""`make model N=… SEED=…`: as many random schedules as you like, then one line of counts.

They are played in pieces of a few hundred, each from a seed of its own and in a process of its own:
what hypothesis draws depends on what a process did before, and one that fails is to be played again
by itself. Nor does any piece fill the memory.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from .piece import play_piece

PIECE = 250


def main(count: int, number: int, jobs: int) -> None:
    started = time.monotonic()
    sizes = [min(PIECE, count - done) for done in range(0, count, PIECE)]
    pieces = list(zip(sizes, range(number, number + len(sizes)), strict=True))
    tally: Counter[str] = Counter()
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        for played in pool.map(play_piece, pieces):
            tally += played
            sys.stderr.write(f"{tally['schedules']} of {count}\n")
    counts = ", ".join(
        f"{tally[kind]} {kind}" for kind in ("schedules", "steps", "crashes", "faults")
    )
    seconds = time.monotonic() - started
    seeds = f"seeds {number} to {pieces[-1][1]}"
    sys.stdout.write(f"{counts}, from {seeds}: nothing lost, in {seconds:.0f} s\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(os.environ.get("JOBS", "2")))
