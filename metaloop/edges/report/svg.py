"""Drawing SVG by hand: escaped elements, nice axis ticks, a plot area with axes.

Colours are CSS classes, so one picture serves a light and a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Number = int | float


def tag(name: str, text: str | None = None, **attributes: Number | str | None) -> str:
    """One element; underscores in names become hyphens (``class_`` is ``class``), ``None`` leaves one out."""
    parts = [name]
    for key, value in attributes.items():
        if value is not None:
            shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    head = " ".join(parts)
    return f"<{head}/>" if text is None else f"<{head}>{text}</{name}>"


def label(text: str, x: float, y: float, class_: str = "tick", anchor: str = "start") -> str:
    """A piece of text; the only way text gets into a picture, so that all of it is escaped."""
    return tag("text", escape(text), x=x, y=y, class_=class_, text_anchor=anchor)


def tip(element: str, text: str) -> str:
    """The element with a tooltip."""
    return f"<g>{tag('title', escape(text))}{element}</g>"


def path(points: Sequence[tuple[float, float]], class_: str, style: str | None = None) -> str:
    """A line through the points."""
    steps = " ".join(f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return tag("path", d=steps, class_=class_, style=style) if points else ""


def staircase(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """The corners of a step curve that holds each value until the next point, and the last until ``end``."""
    corners: list[tuple[float, float]] = []
    for index, (x, y) in enumerate(points):
        following = points[index + 1][0] if index + 1 < len(points) else max(end, x)
        corners += [(x, y), (following, y)]
    return corners


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between low and high, at most ``most`` of them (steps of 1, 2 or 5 times a power of ten)."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    coarse = next(n for n, m in enumerate((1, 2, 5, 10)) if power * m >= rough * 0.999)
    for finer in range(coarse, -9, -1):  # a range between two ticks of the coarse step takes the next finer one
        step = power * 10.0 ** (finer // 3) * (1, 2, 5)[finer % 3]
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if first <= last:
            return [n * step for n in range(first, last + 1)]
    return [low]


def tick_text(value: float, step: float) -> str:
    """A tick with as many digits as its step needs."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 2
    return f"{value:.{digits}f}"


@dataclass(frozen=True)
class Plot:
    """A plot area inside a picture, with data ranges; ``top`` is smaller than ``bottom``, as in SVG."""

    left: float
    top: float
    right: float
    bottom: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Horizontal position of a value."""
        span = (self.x_high - self.x_low) or 1.0
        return self.left + (value - self.x_low) / span * (self.right - self.left)

    def y(self, value: float) -> float:
        """Vertical position of a value, clipped to the plot."""
        span = (self.y_high - self.y_low) or 1.0
        share = min(1.0, max(0.0, (value - self.y_low) / span))
        return self.bottom - share * (self.bottom - self.top)

    def axes(self, x_title: str, y_title: str) -> str:
        """Grid lines, ticks and titles."""
        parts: list[str] = []
        vertical = ticks(self.y_low, self.y_high, 7)
        for value in vertical:
            y = self.y(value)
            parts.append(tag("line", x1=self.left, x2=self.right, y1=y, y2=y, class_="grid"))
            parts.append(label(tick_text(value, _step(vertical)), self.left - 8, y + 4, anchor="end"))
        horizontal = ticks(self.x_low, self.x_high, 8)
        for value in horizontal:
            parts.append(label(tick_text(value, _step(horizontal)), self.x(value), self.bottom + 18, anchor="middle"))
        parts.append(tag("line", x1=self.left, x2=self.right, y1=self.bottom, y2=self.bottom, class_="axis"))
        parts.append(label(x_title, (self.left + self.right) / 2, self.bottom + 38, "title", "middle"))
        parts.append(label(y_title, self.left - 48, self.top - 14, "title"))
        return "".join(parts)

    def horizontal(self, title: str) -> str:
        """Only the x axis, with its grid: for pictures whose rows are names."""
        values = ticks(self.x_low, self.x_high, 9)
        xs = [self.x(value) for value in values]
        parts = [tag("line", x1=x, x2=x, y1=self.top - 6, y2=self.bottom, class_="grid") for x in xs]
        for x, value in zip(xs, values, strict=True):
            parts.append(label(tick_text(value, _step(values)), x, self.bottom + 16, anchor="middle"))
        parts.append(label(title, (self.left + self.right) / 2, self.bottom + 36, "title", "middle"))
        return "".join(parts)


def _step(values: Sequence[float]) -> float:
    return values[1] - values[0] if len(values) > 1 else 1.0


def picture(body: str, width: int, height: int, name: str) -> str:
    """An SVG that scales with its column; ``name`` is what screen readers say."""
    return tag(
        "svg",
        body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=name,
        class_="picture",
    )
