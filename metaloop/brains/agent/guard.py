"""A program between metaloop and a command: it starts the command under limits, and leaves nothing of it alive.

Run as ``python -I -S guard.py LIMITS COMMAND...`` by :mod:`metaloop.brains.agent.command`; it imports the standard
library only. ``LIMITS`` is JSON: most ``processes``, ``file_bytes``, ``memory_bytes``, and the descriptors ``stdin``
(the command's) and ``report``. The guard's own standard input is a lifeline: when whoever started the guard closes it
or dies, of SIGKILL too, everything is killed. On the report one JSON object: ``exit`` (128 + N for signal N) and
``why`` the guard ended it, or the command did not start (empty: it ended by itself).

Where the kernel grants a PID namespace (root, or unprivileged user namespaces) the command lives in one: it dies with
its first process, at once and whole. Elsewhere the guard is the subreaper of all descendants: a daemon that left its
session and its parents becomes the guard's child, and is found. Linux only in both; other systems get the kill of the
command's own session.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""<linux/prctl.h>."""
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
"""<linux/sched.h>."""
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
"""<linux/mount.h>."""
LOOK_S = 0.05
"""How often processes and memory are counted."""
STOPS = 3
"""Passes that stop what is there before it is killed: a process that is being forked is missed by one."""
LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Run the command to its end, or to whatever ends it first."""
    limits, command = json.loads(sys.argv[1]), sys.argv[2:]
    for fd in (limits["report"], limits["stdin"]):
        os.set_inheritable(fd, False)
    wakeup, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(signalled)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    contained = enter_namespace()
    come_first()
    first = os.fork()
    if first == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        first_process(command, limits, contained)
    code, why = watch(first, limits, wakeup)
    end_all(contained)
    report(limits, code, why)


def come_first() -> None:
    """Before whatever it guards, where that is granted (root): a fork bomb would leave the guard no turn to count, and
    RLIMIT_NPROC does not bind root. Its children are not favoured."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def watch(first: int, limits: dict[str, Any], wakeup: int) -> tuple[int | None, str]:
    """Wait for the first process: its exit code, or why it has to be killed."""
    while True:
        ready = select.select([0, wakeup], [], [], LOOK_S)[0]
        if wakeup in ready:
            os.read(wakeup, 4096)
        ended, status = os.waitpid(first, os.WNOHANG)
        if ended:
            return exit_code(status), ""
        if 0 in ready:
            return None, "told to stop"
        known = descendants(first, limits["processes"])
        if len(known) > limits["processes"]:
            return None, f"it had more than {limits['processes']} processes"
        if sum(map(resident, known)) > limits["memory_bytes"]:
            return None, f"it held more than {limits['memory_bytes'] / 1e6:g} MB of memory"


def end_all(contained: bool) -> None:
    """Kill everything below the guard: a namespace with its first process, which is the guard's child; else all that is
    found, stopped first, so that little forks while it is looked for."""
    if contained:
        for pid in children(os.getpid()):
            kill(pid, signal.SIGKILL)
    for _ in range(0 if contained else STOPS):
        for pid in descendants(os.getpid())[1:]:
            kill(pid, signal.SIGSTOP)
    while left := descendants(os.getpid())[1:]:
        for pid in left:
            kill(pid, signal.SIGKILL)
        reap()
        time.sleep(0.001)


def reap() -> None:
    """Take the exit status of every child that has ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def descendants(pid: int, most: float = math.inf) -> list[int]:
    """The process and all that it and its children started and that are their children still; of more than ``most``,
    as many as show that there are too many."""
    found, index = [pid], 0
    while index < len(found) <= most:
        found += children(found[index])
        index += 1
    return found


def children(pid: int) -> list[int]:
    """Direct children, of all threads."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it has ended meanwhile
    return found


def resident(pid: int) -> int:
    """Bytes of a process's own memory: resident pages that it shares with nobody's file."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            pages = file.read().split()
    except OSError:
        return 0
    return (int(pages[1]) - int(pages[2])) * resource.getpagesize()


def enter_namespace() -> bool:
    """Let what is forked from now on live in a PID namespace of its own; whether the kernel granted one."""
    if not hasattr(LIBC, "unshare"):
        return False
    if os.geteuid() == 0:
        return bool(LIBC.unshare(CLONE_NEWPID) == 0)
    uid, gid = os.getuid(), os.getgid()
    if LIBC.unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def first_process(command: list[str], limits: dict[str, Any], contained: bool) -> NoReturn:
    """Become the command; in a namespace, its parent, because a namespace's first process ignores most signals."""
    os.setsid()
    if not contained:
        become(command, limits)
    own_proc()
    pid = os.fork()
    if pid == 0:
        become(command, limits)
    while True:
        ended, status = os.wait()
        if ended == pid:
            os._exit(exit_code(status))


def own_proc() -> None:
    """Show the namespace's processes in /proc; where that is not granted, the machine's stay to be seen."""
    if LIBC.unshare(CLONE_NEWNS) == 0 and LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0:
        LIBC.mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)


def become(command: list[str], limits: dict[str, Any]) -> NoReturn:
    """Set the limits and execute the command; what stands against that is reported."""
    try:
        os.dup2(limits["stdin"], 0)
        limit(resource.RLIMIT_CORE, 0)
        limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
        # Not RLIMIT_AS: JavaScript engines reserve far more address space than they use.
        limit(resource.RLIMIT_DATA, limits["memory_bytes"])
        limit(resource.RLIMIT_NPROC, tasks_of(os.getuid()) + limits["processes"])
        os.execvp(command[0], command)
    except OSError as error:
        report(limits, None, f"{command[0]} cannot be run: {error.strerror}")
    os._exit(127)


def limit(what: int, amount: int) -> None:
    """Lower a limit, never raise it."""
    hard = resource.getrlimit(what)[1]
    least = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    resource.setrlimit(what, (least, least))


def tasks_of(uid: int) -> int:
    """Threads that a user has now: RLIMIT_NPROC counts them all."""
    count = 0
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def report(limits: dict[str, Any], code: int | None, why: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is left to be told
        os.write(limits["report"], json.dumps({"exit": code, "why": why}).encode() + b"\n")


def kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    if hasattr(LIBC, "prctl"):
        LIBC.prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
