"""A daemon does not keep the memory that a look at a large folder took."""

from __future__ import annotations

import subprocess
import sys

GIVEN_BACK = """
from syncd.daemon.heap import WORTH_BYTES, give_back
before = give_back(0)
taken = {number: (str(number), [number]) for number in range(400_000)}
while_taken = give_back(before)
assert while_taken > before + 2 * WORTH_BYTES
del taken
assert give_back(before) < while_taken - WORTH_BYTES
"""
LEFT_ALONE = """
from syncd.daemon.heap import WORTH_BYTES, give_back
before = give_back(0)
assert give_back(before) - before < WORTH_BYTES
assert give_back(before * 2) == before * 2
"""


def alone(program: str) -> None:
    """Run it in a process whose memory no other test has used."""
    done = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_not_used_any_more_is_given_back() -> None:
    alone(GIVEN_BACK)


def test_nothing_is_done_for_a_little() -> None:
    alone(LEFT_ALONE)
