"""What the devices did, and what they idled for: the timeline and its table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metaloop.edges.report.charts import WIDTH, about, shorten
from metaloop.edges.report.story import Story
from metaloop.edges.report.style import colour
from metaloop.edges.report.svg import Plot, label, picture, tag, tip
from metaloop.meta.waiting import Cause, Idle

MOST_ROWS = 64
"""Devices that are drawn; of more, this many are chosen evenly."""
WHY: Mapping[Cause, str] = MappingProxyType(
    {
        "proposal": "waiting for a proposal",
        "review": "waiting for a review",
        "verdict": "waiting for a verdict",
        "stand-up": "everybody in a stand-up",
        "dispatch": "work was there, the controller busy",
        "messages": "order and result on their way",
        "lost": "its attempt was lost",
        "device": "the device was away",
        "canary": "it trained a canary",
        "end": "nothing was started any more",
    }
)
"""Causes of idle time, in words."""


def _why_idle(idle: Idle) -> str:
    who = f" ({idle.who})" if idle.who else ""
    return f"{idle.device} idle for {idle.end - idle.start:.2f} s: {WHY[idle.cause]}{who}"


def timeline_chart(story: Story, authors: Mapping[str, int]) -> str:
    """What every device trained when: candidates in their author's colour, incumbents outlined, gaps idle (and for
    what). Of many devices only some rows are drawn, evenly chosen."""
    every = story.account.devices or tuple(sorted({t.device for t in story.trainings}))
    devices = tuple(every[place * len(every) // MOST_ROWS] for place in range(MOST_ROWS))
    devices = every if len(every) <= MOST_ROWS else devices
    row = 26 if len(devices) <= 12 else max(6, 312 // len(devices))
    end = max(story.account.until, 1e-9)
    height = 70 + row * len(devices)
    plot = Plot(110, 14, WIDTH - 20, 14 + row * len(devices), 0.0, end, 0.0, 1.0)
    rows = {device: plot.top + row * index for index, device in enumerate(devices)}
    parts = [plot.horizontal("run time (seconds)")]

    def bar(device: str, start: float, finish: float, class_: str, style: str | None = None) -> str:
        width = max(0.8, plot.x(finish) - plot.x(start))
        return tag(
            "rect",
            x=plot.x(start),
            y=rows[device] + 2,
            width=width,
            height=row - 4.0,
            rx=1.5,
            class_=class_,
            style=style,
        )

    for hold in story.account.holds:
        if hold.device in rows:
            parts.append(tip(bar(hold.device, hold.start, hold.end, "idle"), f"{hold.device}: reserved"))
    for idle in story.idle:
        if idle.device in rows and plot.x(idle.end) - plot.x(idle.start) >= 0.5:
            parts.append(tip(bar(idle.device, idle.start, idle.end, "idle waits"), _why_idle(idle)))
    for meeting in story.stand_ups:
        rect = tag(
            "rect", x=plot.x(meeting.start), y=plot.top, height=plot.bottom - plot.top, class_="stand-up",
            width=max(1.0, plot.x(meeting.end) - plot.x(meeting.start)),
        )  # fmt: skip
        parts.append(tip(rect, f"stand-up, {meeting.end - meeting.start:.1f} s: {meeting.label}"))
    for training in story.trainings:
        if training.device in rows:
            own = training.author in authors
            style = f"fill: {colour(authors[training.author])}" if own else None
            element = bar(training.device, training.start, training.end, "bar" if own else "incumbent-bar", style)
            parts.append(tip(element, f"{about(training, None)}\n{training.end - training.start:.2f} s"))
    for span in (*story.lost, *story.under_way):
        if span.device in rows:
            kind = "lost" if span in story.lost else "incumbent-bar"
            parts.append(tip(bar(span.device, span.start, span.end, kind), span.label))
    if row >= 12:
        parts += [label(shorten(d, 15), plot.left - 8, rows[d] + row / 2 + 4, "tick", "end") for d in devices]
    if len(devices) < len(every):
        parts.append(label(f"{len(devices)} of {len(every)}", plot.left - 8, plot.top + 12, "tick", "end"))
    return picture("".join(parts), WIDTH, height, f"Device timeline of {story.name}")
