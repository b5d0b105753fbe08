"""Draw a recorded session as a moving picture: the folder, the repo, and the daemon between them.

The drawing is a small SVG that moves by CSS alone, in the colours of a light or a dark page. Who
asked for less motion, and a program that knows no CSS, sees the end of the session as a still. The
layout for phones has the panes one above the other, so that the letters stay large.
Runs no command: docs/pictures.py records.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from xml.sax.saxutils import escape

SECONDS = 16
_LINE, _MARGIN = 18, 12
_COLUMNS = 42
"""So many letters fit into a line of a pane that is 350 wide."""
_BLANK = "\xa0"
"""A blank that no program takes out."""
_NAMES = ("page", "edge", "text", "dim", "out", "in")
_LIGHT = ("ffffff", "d0d7de", "1f2328", "59636e", "0969da", "1a7f37")
_DARK = ("0d1117", "3d444d", "f0f6fc", "9198a1", "4493f8", "3fb950")
_STYLE = """
rect { fill: var(--page); stroke: var(--edge); }
text {
  fill: var(--text);
  font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
.title { font-weight: bold; }
.dim { fill: var(--dim); }
.out { fill: var(--out); }
.in { fill: var(--in); }
.gone { opacity: 0; }
"""

Pane = Literal["folder", "repo", "daemon"]
Tone = Literal["", "title", "dim", "out", "in"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a pane, shown from `since` to `until` in seconds; None is the end."""

    pane: Pane
    row: int
    text: str
    tone: Tone = ""
    since: float = 0
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Arrow:
    """What goes to the repo (`out`) or to the folder (`in`), from `since` to `until`."""

    way: Literal["out", "in"]
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the panes are (x, y, width, height), and where an arrow points to the repo."""

    width: int
    height: int
    panes: Mapping[Pane, tuple[int, int, int, int]]
    arrow: tuple[int, int, int]
    """x, y, and degrees of the turn."""


WIDE = Layout(
    760, 374,
    {"folder": (0, 0, 350, 262), "repo": (410, 0, 350, 262), "daemon": (0, 274, 760, 100)},
    (380, 131, 0),
)  # fmt: skip
NARROW = Layout(
    350, 640,
    {"folder": (0, 0, 350, 256), "repo": (0, 302, 350, 208), "daemon": (0, 522, 350, 118)},
    (175, 279, 90),
)  # fmt: skip


def draw(
    layout: Layout, title: str, told: str, lines: Sequence[Line], arrows: Sequence[Arrow]
) -> str:
    """Return the picture; `told` says in words what it shows, for whoever does not see it."""
    if layout is NARROW:
        lines = [*wrapped(lines)]
    spans = {(line.since, line.until) for line in lines}
    spans |= {(arrow.since, arrow.until) for arrow in arrows}
    names = {span: f"t{number}" for number, span in enumerate(sorted(spans, key=str))}
    box = f"0 0 {layout.width} {layout.height}"
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(told)}</desc>",
        f"<style>{_style(names)}</style>",
        *map(_frame, layout.panes.values()),
        *(_text(layout, line, names[line.since, line.until]) for line in lines),
        *(_arrow(layout, arrow, names[arrow.since, arrow.until]) for arrow in arrows),
        "</svg>\n",
    ))  # fmt: skip


def wrapped(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines, the long ones of the daemon in several rows."""
    row = 0
    for line in lines:
        if line.pane != "daemon":
            yield line
            continue
        fits = len(line.text) <= _COLUMNS
        for text in [line.text] if fits else textwrap.wrap(line.text, _COLUMNS):
            yield replace(line, row=row, text=text)
            row += 1


def _style(names: Mapping[tuple[float, float | None], str]) -> str:
    """Return the colours of both kinds of page, and the motion for who did not ask for less."""
    moves = "\n".join(_move(name, *span) for span, name in names.items() if span != (0, None))
    return (
        f"\n{_colours(_LIGHT)}\n@media (prefers-color-scheme: dark) {{ {_colours(_DARK)} }}{_STYLE}"
        f"@media (prefers-reduced-motion: no-preference) {{\n{moves}\n}}\n"
    )


def _colours(values: Sequence[str]) -> str:
    each = " ".join(f"--{name}: #{value};" for name, value in zip(_NAMES, values, strict=True))
    return f"svg {{ {each} }}"


def _frame(place: tuple[int, int, int, int]) -> str:
    x, y, width, height = place
    return f'<rect x="{x + 0.5}" y="{y + 0.5}" width="{width - 1}" height="{height - 1}" rx="6"/>'


def _move(name: str, since: float, until: float | None) -> str:
    """Show what has this class in its time, and hide it before and afterwards."""
    steps = [*_steps(since, until)]
    frames = " ".join(f"{at:.1f}% {{ opacity: {opacity}; }}" for at, opacity in steps)
    return f".{name} {{ animation: {name} {SECONDS}s infinite; }}\n@keyframes {name} {{ {frames} }}"


def _steps(since: float, until: float | None) -> Iterator[tuple[float, int]]:
    """Yield percents of the whole time, each with an opacity, and a fade of a fifth of a second."""
    fade = 20 / SECONDS
    begin, end = 100 * since / SECONDS, 100 * (SECONDS if until is None else until) / SECONDS
    if since:
        yield from ((0, 0), (begin - fade, 0))
    yield from ((begin, 1), (end - fade if until is not None else 97, 1))
    yield from ((end, 0), (100, 0)) if until is not None else ((100, 0),)


def _text(layout: Layout, line: Line, name: str) -> str:
    x, y, *_ = layout.panes[line.pane]
    at = f'x="{x + _MARGIN}" y="{y + 22 + line.row * _LINE}"'
    kinds = " ".join(filter(None, (name, line.tone, "" if line.until is None else "gone")))
    return f'<text {at} class="{kinds}">{escape(line.text.replace(" ", _BLANK))}</text>'


def _arrow(layout: Layout, arrow: Arrow, name: str) -> str:
    """Draw an arrow between the folder and the repo, which only the moving picture shows."""
    x, y, turn = layout.arrow
    turn += 0 if arrow.way == "out" else 180
    at = f"translate({x} {y})" + (f" rotate({turn})" if turn else "")
    points = "-18,-2 9,-2 9,-8 18,0 9,8 9,2 -18,2"
    return f'<polygon class="{name} {arrow.way} gone" transform="{at}" points="{points}"/>'
