"""Charts as SVG text: lines over two axes, and bars. Knows nothing of what it draws.

Colours are told apart without colour vision (Okabe and Ito), and follow a reader's dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
WIDTH, HEIGHT = 330, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 34, 66
BAR, GAP, NAMES = 18, 8, 150
_STYLE = """<style>
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 13px; font-weight: 600 }
.axis { stroke: #8c959f } .grid { stroke: #8c959f; stroke-opacity: .25 } polyline { fill: none }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .page { fill: #0d1117 } }
</style>"""


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, and its points in order."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What one direction means, from where to where; a step is ten times the last if `is_log`."""

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """0 for the low end, 1 for the high one."""
        low, high, value = map(self._scaled, (self.low, self.high, value))
        return (value - low) / (high - low)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def ticks(self) -> Iterator[float]:
        if self.is_log:
            exponents = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
            yield from (10.0**exponent for exponent in exponents)
        else:
            step = _round_step(self.high - self.low)
            count = math.floor((self.high - self.low) / step + 1e-9)
            yield from (self.low + step * number for number in range(count + 1))


def _round_step(span: float) -> float:
    """A fifth of `span` at most, as 1, 2 or 5 of some power of ten."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span / 5)


def axis_of(values: Sequence[float], *, is_log: bool) -> Axis:
    """An axis with room for all of them; a linear one starts at 0."""
    if not is_log:
        return Axis(0, max(values) * 1.05)
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return Axis(10.0**low, 10.0 ** max(high, low + 1), is_log=True)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes with lines in it."""

    title: str
    x_name: str
    x: Axis
    y: Axis
    series: Sequence[Series]

    def draw(self) -> Iterator[str]:
        yield _text(LEFT, 18, self.title, "title")
        yield from self._grid()
        for series, colour in zip(self.series, COLOURS, strict=False):
            points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in series.points)
            yield f'<polyline points="{points}" stroke="{colour}" stroke-width="2"/>'
        yield from self._legend()

    def _grid(self) -> Iterator[str]:
        for tick in self.x.ticks():
            at = self._x(tick)
            yield _line(at, TOP, at, HEIGHT - BOTTOM, "grid")
            yield _text(at, HEIGHT - BOTTOM + 14, short(tick), anchor="middle")
        for tick in self.y.ticks():
            at = self._y(tick)
            yield _line(LEFT, at, WIDTH - RIGHT, at, "grid")
            yield _text(LEFT - 5, at + 4, short(tick), anchor="end")
        yield _line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield _text(middle, HEIGHT - BOTTOM + 28, self.x_name, anchor="middle")

    def _legend(self) -> Iterator[str]:
        for number, (series, colour) in enumerate(zip(self.series, COLOURS, strict=False)):
            x, y = LEFT + 150 * (number % 2), HEIGHT - 22 + 15 * (number // 2)
            yield f'<rect x="{x}" y="{y - 8}" width="10" height="8" fill="{colour}"/>'
            yield _text(x + 14, y, series.name)

    def _x(self, value: float) -> float:
        return LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars side by side: each a name and a value. The first is the one that is compared."""

    title: str
    unit: str
    bars: Sequence[tuple[str, float]]

    def draw(self) -> Iterator[str]:
        yield _text(8, 18, self.title, "title")
        longest = max(value for _, value in self.bars) or 1.0
        for number, (name, value) in enumerate(self.bars):
            y = TOP + number * (BAR + GAP)
            width = max(1.0, value / longest * (WIDTH - NAMES - 70))
            colour = COLOURS[0] if number == 0 else "#8c959f"
            yield _text(NAMES - 6, y + 13, name, anchor="end")
            yield f'<rect x="{NAMES}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
            yield _text(NAMES + width + 5, y + 13, f"{short(value)} {self.unit}")


def chart(parts: Sequence[Panel | Bars], columns: int = 3, height: int = HEIGHT) -> str:
    """A picture of some parts, side by side, and below each other where they are many."""
    width, all_height = WIDTH * min(columns, len(parts)), height * -(-len(parts) // columns)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {all_height}" role="img">',
        f"<title>{escape(', '.join(part.title for part in parts))}</title>",
        _STYLE,
        # A page may be dark where the reader's system is not: letters need a ground of their own.
        '<rect class="page" width="100%" height="100%"/>',
    ]
    for number, part in enumerate(parts):
        row, column = divmod(number, columns)
        lines += [
            f'<g transform="translate({column * WIDTH} {row * height})">',
            *part.draw(),
            "</g>",
        ]
    return "\n".join([*lines, "</svg>", ""])


def short(value: float) -> str:
    """A number as a label: 1k, 100k, 1M; three digits of what is small."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{kind}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'
