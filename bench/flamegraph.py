"""Collapsed stacks to a flame graph as SVG. Pure; what is too narrow to be seen is left out.

Each line of the input is `outer;inner;innermost COUNT`. A frame of the picture stands on its caller
and is as wide as the part of all samples in which it was running; its title tells how much that is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

WIDTH, FRAME, LETTER = 1_200, 16, 6.2
NARROWEST = 0.002
"""Of the whole width."""
WARM = ("#e5a34f", "#e58a4f", "#e0b860", "#d9774a")
COLD = "#9aa4af"
_OURS = re.compile(r"\bsyncd/")
_MACHINERY = re.compile(r"<frozen |^process \d+")
"""Frames that say nothing: how Python imports, and which process it was."""


@dataclass(slots=True)
class Frame:
    """A function as it was called from one place: how many samples, and whom it called."""

    samples: int = 0
    called: defaultdict[str, Frame] = field(default_factory=lambda: defaultdict(Frame))

    def depth(self, least: float) -> int:
        inner = (frame.depth(least) for frame in self.called.values() if frame.samples >= least)
        return 1 + max(inner, default=0)


def fold(lines: Iterable[str]) -> Frame:
    root = Frame()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frame = root
        frame.samples += int(count)
        for name in stack.split(";"):
            if not _MACHINERY.search(name):
                frame = frame.called[name]
                frame.samples += int(count)
    return root


def draw(title: str, lines: Iterable[str]) -> str:
    root = fold(lines)
    height = (root.depth(root.samples * NARROWEST) + 1) * FRAME + 8
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "<style>text { font: 10.5px monospace; fill: #1f2328 }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="4" y="14">{escape(title)}, {root.samples} samples</text>',
    ]
    return "\n".join([*head, *_frames(root, root.samples, 0.0, height - FRAME), "</svg>", ""])


def _frames(parent: Frame, all_samples: int, left: float, y: int) -> Iterator[str]:
    for name, frame in sorted(parent.called.items()):
        width = WIDTH * frame.samples / all_samples
        if frame.samples >= all_samples * NARROWEST:
            yield _frame(name, frame.samples / all_samples, left, width, y)
            yield from _frames(frame, all_samples, left, y - FRAME)
        left += width


def _frame(name: str, part: float, left: float, width: float, y: int) -> str:
    colour = WARM[sum(name.encode()) % len(WARM)] if _OURS.search(name) else COLD
    box = f'x="{left:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" height="{FRAME - 1}"'
    told = f"<title>{escape(name)}: {part:.1%}</title>"
    fits = int((width - 4) / LETTER)
    label = (
        f'<text x="{left + 2:.1f}" y="{y + 11}">{escape(name[:fits])}</text>' if fits > 2 else ""
    )
    return f"<g><rect {box} fill={quoteattr(colour)}/>{label}{told}</g>"
