"""Running a card's command once, under its limits: what it printed, how it ended, and nothing of it left alive."""

from __future__ import annotations

import errno
import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from metaloop.brains.agent import guard
from metaloop.vocabulary.agents import PLAIN_VARIABLES, AgentCard
from metaloop.vocabulary.clock import WallClock

MOST_OUTPUT = 1_000_000
"""Bytes of standard output that are kept, the last ones; of standard error as many."""
GRACE_S = 10.0
"""For the guard to end everything once it was told to."""
LONGEST_TOLD = 300


@dataclass(frozen=True)
class Ran:
    """How a call ended. ``problem`` is empty where it exited with 0; ``missing``: there is no such command."""

    out: str
    err: str
    problem: str
    missing: bool = False


class _Report(msgspec.Struct):
    exit: int | None
    why: str


def environment(card: AgentCard, scratch: Path, member: str) -> dict[str, str]:
    """What the command sees of the environment, a folder for temporary files that goes with the call, and who it is to
    git, which otherwise asks agents to change the repository's settings."""
    given = {name: os.environ[name] for name in (*PLAIN_VARIABLES, *card.pass_variables) if name in os.environ}
    names = {f"GIT_{who}_NAME": member for who in ("AUTHOR", "COMMITTER")}
    mails = {f"GIT_{who}_EMAIL": f"{member}@localhost" for who in ("AUTHOR", "COMMITTER")}
    return {**given, **names, **mails, "TMPDIR": str(scratch)}


def secrets(card: AgentCard) -> tuple[str, ...]:
    """Values of the variables that the card names, longest first: never to be written down."""
    values = {os.environ.get(name, "") for name in card.pass_variables}
    return tuple(sorted((value for value in values if value), key=len, reverse=True))


def find(card: AgentCard) -> str | None:
    """The program's path, ``None`` where there is none."""
    program = sys.executable if card.command[0] == "{python}" else card.command[0]
    return shutil.which(program)


def run(card: AgentCard, command: Sequence[str], folder: Path, env: Mapping[str, str], stdin: Path) -> Ran:
    """Run ``command`` in ``folder`` with the file ``stdin`` as its standard input, until it ends or has to."""
    if shutil.which(command[0], path=env.get("PATH")) is None:
        return Ran("", "", f"there is no command {command[0]!r}. Install it, or mend its card.", missing=True)
    reports, told = os.pipe()
    try:
        with stdin.open("rb") as file:
            process = _start(card, command, folder, env, (file.fileno(), told))
    except OSError as error:
        os.close(reports)
        return Ran("", "", _unstartable(error))
    finally:
        os.close(told)
    return _follow(process, reports, card)


def _start(
    card: AgentCard, command: Sequence[str], folder: Path, env: Mapping[str, str], fds: tuple[int, int]
) -> subprocess.Popen[bytes]:
    limits = {
        "processes": card.processes,
        "file_bytes": int(card.file_mb * 1e6),
        "memory_bytes": int(card.memory_mb * 1e6),
        "stdin": fds[0],
        "report": fds[1],
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(guard.__file__), json.dumps(limits), *command],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=folder,
        env=dict(env),
        pass_fds=fds,
        start_new_session=True,
    )


def _unstartable(error: OSError) -> str:
    if error.errno == errno.E2BIG:
        return "its arguments are longer than the system allows. Hand the prompt over as {prompt_file}."
    return f"it cannot be started: {error.strerror}"


def _follow(process: subprocess.Popen[bytes], reports: int, card: AgentCard) -> Ran:
    """Read all that it prints, and keep the ends, until the guard is gone."""
    clock = WallClock()
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    tails = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray(), reports: bytearray()}
    late = False
    with selectors.DefaultSelector() as selector:
        for fd in tails:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            left = card.timeout_s - clock.now()
            if left <= 0 and not late:
                late = True
                process.stdin.close()
            if left <= -GRACE_S:
                break
            for key, _ in selector.select(max(0.05, left if not late else left + GRACE_S)):
                if not _read(key.fd, tails[key.fd]):
                    selector.unregister(key.fd)
    _close(process, reports)
    out, err, report = (bytes(tail) for tail in tails.values())
    problem = f"it was not done within {card.timeout_s:g} s" if late else _problem(report, err)
    return Ran(out.decode(errors="replace"), err.decode(errors="replace"), problem)


def _read(fd: int, tail: bytearray) -> bool:
    data = os.read(fd, 65536)
    tail += data
    if len(tail) > 2 * MOST_OUTPUT or not data:
        del tail[:-MOST_OUTPUT]
    return bool(data)


def _close(process: subprocess.Popen[bytes], reports: int) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    os.close(reports)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _problem(report: bytes, err: bytes) -> str:
    """Why the call counts as failed, empty where it does not."""
    try:
        found = msgspec.json.decode(report.splitlines()[0], type=_Report)
    except (IndexError, msgspec.MsgspecError):
        return "its guard died"
    if found.why:
        return found.why
    if found.exit:
        last = " ".join(err[-2000:].decode(errors="replace").split())[-LONGEST_TOLD:]
        return f"it ended with exit code {found.exit}" + (f": {last}" if last else "")
    return ""
