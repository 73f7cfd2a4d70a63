"""Charts in SVG: axes, and the marks on them, without styles of their own (page.css has those)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from search.report.page.scales import Scale, number

WIDTH, HEIGHT = 720, 320
"""Of a drawing, in its own units; the page scales it."""
TOP, RIGHT, BOTTOM, LEFT = 12, 18, 46, 62
"""Room around the axes."""
COLOURS = 8
"""Colours of series that page.css has: the classes c0, c1 and so on."""

Point = tuple[float, float]


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element of SVG; text and attributes are escaped, and ``_`` in names becomes ``-``.

    An attribute of None is left out; ``class_`` is the attribute class.
    """
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, inside)


def colour(series: int) -> str:
    """Return the class of a series' colour."""
    return f"c{series % COLOURS}"


@dataclass
class Plot:
    """A chart as it is drawn.

    Attributes:
        x, y: the axes; y runs upwards where its ``start`` lies below.
        x_title, y_title: what they show.
        x_labels, y_labels: place and text of ticks, in place of round numbers.
        marks: what was drawn, from the back to the front.
    """

    x: Scale
    y: Scale
    x_title: str
    y_title: str
    height: float = HEIGHT
    x_labels: Sequence[tuple[float, str]] | None = None
    y_labels: Sequence[tuple[float, str]] | None = None
    marks: list[Markup] = field(default_factory=list)

    def line(self, points: Iterable[Point], series: int, dashed: bool = False) -> None:
        """Draw a line through points."""
        path = " ".join(f"{_short(self.x(x))},{_short(self.y(y))}" for x, y in points)
        kind = f"line {colour(series)}{' dashed' if dashed else ''}"
        self.marks.append(tag("polyline", points=path, class_=kind))

    def band(
        self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], series: int
    ) -> None:
        """Fill what lies between two lines."""
        there = [(x, low) for x, low in zip(xs, lows, strict=True)]
        back = [(x, high) for x, high in zip(reversed(xs), reversed(highs), strict=True)]
        path = " ".join(f"{_short(self.x(x))},{_short(self.y(y))}" for x, y in there + back)
        self.marks.append(tag("polygon", points=path, class_=f"band {colour(series)}"))

    def dot(self, x: float, y: float, series: int, tip: str, kind: str = "dot") -> None:
        """Draw a point that says ``tip`` when it is pointed at."""
        place = {"cx": self.x(x), "cy": self.y(y), "r": 4.5 if kind == "dot" else 3}
        self.marks.append(tag("circle", **place, class_=f"{kind} {colour(series)}", data_tip=tip))

    def bar(self, x: float, y: float, width: float, series: int, tip: str) -> None:
        """Draw a bar from 0 to ``y`` around ``x``, of ``width`` units of the drawing."""
        zero, top = self.y(0), self.y(y)
        place = {"x": self.x(x) - width / 2, "y": min(zero, top), "width": width}
        height = max(abs(top - zero), 0.5)
        kind = f"bar {colour(series)}"
        self.marks.append(tag("rect", **place, height=height, class_=kind, data_tip=tip))

    def interval(
        self, y: float, low: float, mean: float, high: float, series: int, tip: str
    ) -> None:
        """Draw an interval along x with its mean, at the height ``y``."""
        ends = {"x1": self.x(low), "x2": self.x(high), "y1": self.y(y), "y2": self.y(y)}
        self.marks.append(tag("line", **ends, class_=f"interval {colour(series)}", data_tip=tip))
        self.dot(mean, y, series, tip)

    def whisker(self, x: float, low: float, high: float, series: int) -> None:
        """Draw an interval along y at ``x``."""
        ends = {"x1": self.x(x), "x2": self.x(x), "y1": self.y(low), "y2": self.y(high)}
        self.marks.append(tag("line", **ends, class_=f"interval {colour(series)}"))

    def across(self, x: float) -> None:
        """Mark a value of x from top to bottom, such as 0."""
        ends = {"x1": self.x(x), "x2": self.x(x), "y1": self.y.start, "y2": self.y.end}
        self.marks.append(tag("line", **ends, class_="reference"))

    def along(self, y: float) -> None:
        """Mark a value of y from left to right, such as 0."""
        ends = {"y1": self.y(y), "y2": self.y(y), "x1": self.x.start, "x2": self.x.end}
        self.marks.append(tag("line", **ends, class_="reference"))

    def drawn(self, name: str, description: str) -> Markup:
        """Return the drawing; ``description`` says in words what it shows."""
        parts = [tag("title", description), *self._x_axis(), *self._y_axis(), *self.marks]
        box = f"0 0 {WIDTH} {_short(self.height)}"
        return tag("svg", *parts, viewBox=box, role="img", id=name, aria_label=description)

    def _x_axis(self) -> list[Markup]:
        base = max(self.y.start, self.y.end)
        ticks = self.x_labels or [(tick, number(tick)) for tick in self.x.ticks()]
        parts = [tag("line", x1=self.x.start, x2=self.x.end, y1=base, y2=base, class_="axis")]
        for value, text in ticks:
            at = self.x(value)
            parts.append(tag("line", x1=at, x2=at, y1=base, y2=base + 4, class_="axis"))
            parts.append(tag("text", text, x=at, y=base + 17, class_="tick middle"))
        middle = (self.x.start + self.x.end) / 2
        parts.append(tag("text", self.x_title, x=middle, y=base + 37, class_="name middle"))
        return parts

    def _y_axis(self) -> list[Markup]:
        parts, left = [], min(self.x.start, self.x.end)
        for value, text in self.y_labels or [(tick, number(tick)) for tick in self.y.ticks()]:
            at = self.y(value)
            ends = {"x1": self.x.start, "x2": self.x.end}
            parts.append(tag("line", **ends, y1=at, y2=at, class_="grid"))
            parts.append(tag("text", text, x=left - 7, y=at + 4, class_="tick end"))
        middle = (self.y.start + self.y.end) / 2
        turn = f"translate(14 {_short(middle)}) rotate(-90)"
        if self.y_title:
            parts.append(tag("text", self.y_title, transform=turn, class_="name middle"))
        return parts


def x_range(left: float = LEFT) -> tuple[float, float]:
    """Return where an axis of x begins and ends."""
    return left, WIDTH - RIGHT


def y_range(height: float = HEIGHT) -> tuple[float, float]:
    """Return where an axis of y begins, at the bottom, and ends."""
    return height - BOTTOM, TOP


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
