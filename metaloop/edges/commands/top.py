"""``metaloop top``: a run or an evolution as it is now, and now, and now."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import msgspec

from metaloop.edges.outcome import print_json

if TYPE_CHECKING:
    from metaloop.meta.watching import RunNow


@click.command("top")
@click.argument("place", metavar="DIR|URL")
@click.option("--once", is_flag=True, help="Print one frame and end.")
@click.option("--every", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Seconds between two frames.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def top_command(place: str, once: bool, every: float, as_json: bool) -> None:
    """Watch the run or evolution in DIR, or in what it is mirrored to: who trains what on which device, how far it is,
    what it has spent.

    From the folder alone, so that it works on a running run, a killed one (silent) and a finished one, and costs the
    run nothing. q ends it. Gains are the organization's own view, on the validation split; `metaloop compare` has the
    confirmed ones. A mirror (s3://bucket/run, file:///shared/run) is up to 15 seconds behind.
    """
    from rich.console import Console
    from rich.live import Live

    from metaloop.edges.top_view import frame

    with _looking(place) as look:
        now = look()
        if as_json:
            print_json(now)
            return
        console = Console()
        if once or not console.is_terminal:
            console.print(frame(now, console.width), soft_wrap=True)
            return
        first = frame(now, console.width)
        with _keys() as pressed, Live(first, console=console, screen=True, auto_refresh=False) as live:
            while pressed(every) != "q":
                live.update(frame(look(), console.width), refresh=True)


@contextmanager
def _looking(place: str) -> Iterator[Callable[[], RunNow]]:
    """What to call for a look at a folder, or at what it is mirrored to."""
    from metaloop.files.mirror import Glance
    from metaloop.meta.watching import MIRRORED_SILENCE_S, SILENCE_S, Watch

    if "://" not in place:
        watch = Watch(Path(place), SILENCE_S)
        yield lambda: watch.look(time.time())
        return
    with TemporaryDirectory() as folder:
        glance, watch = Glance(place, Path(folder)), Watch(Path(folder), MIRRORED_SILENCE_S)

        def look() -> RunNow:
            glance.update()
            return msgspec.structs.replace(watch.look(time.time()), path=place)

        yield look


class _Keyboard:
    """Waits for a key for so many seconds; empty if none came."""

    def __call__(self, seconds: float) -> str:
        if not sys.stdin.isatty():
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return sys.stdin.read(1) if ready else ""


@contextmanager
def _keys() -> Iterator[_Keyboard]:
    """Keys reach us without Enter, and are not shown."""
    if not sys.stdin.isatty():
        yield _Keyboard()
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield _Keyboard()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
