"""A tripwire in the guest's own Python: it names what changed code reached for, and ends the guest.

The walls hold what it misses: code that gets past an audit hook still has no network, no files and no processes.
What plain trainings do (they open nothing, and load nothing) stays silent.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final

NAMED: Final = (
    # prefix of audit events (docs.python.org/3/library/audit_events.html), and the reason that names them
    ("socket.", "network"), ("urllib.", "network"), ("http.", "network"), ("ftplib.", "network"),
    ("smtplib.", "network"), ("poplib.", "network"), ("imaplib.", "network"), ("nntplib.", "network"),
    ("telnetlib.", "network"), ("webbrowser.", "network"), ("subprocess.", "processes"), ("os.system", "processes"),
    ("os.exec", "processes"), ("os.posix_spawn", "processes"), ("os.spawn", "processes"), ("os.fork", "processes"),
    ("pty.", "processes"), ("os.kill", "signals"), ("os.killpg", "signals"), ("signal.pthread_kill", "signals"),
    ("os.symlink", "links"), ("os.link", "links"), ("ctypes.", "ctypes"), ("pickle.", "pickle"),
    ("marshal.", "pickle"), ("shelve.", "pickle"), ("resource.setrlimit", "limits"), ("resource.prlimit", "limits"),
    ("os.chroot", "escape"), ("os.unshare", "escape"), ("os.setns", "escape"), ("os.setxattr", "escape"),
    ("syslog.", "escape"), ("fcntl.", "escape"),
)  # fmt: skip
PATHS: Final = frozenset(
    {"open", "os.listdir", "os.scandir", "os.chdir", "os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rename",
     "os.rmdir", "os.truncate", "os.utime", "os.walk", "os.fwalk", "os.getxattr", "os.listxattr", "glob.glob",
     "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.rmtree", "sqlite3.connect"}
)  # fmt: skip
"""Events whose first argument is a path: silent inside the scratch folder."""
WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MOST_CHARS: Final = 200


def tripwire(scratch: str, tell: Callable[[str], None]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook. ``tell`` gets the reason, ``kind: what``, and does not come back."""
    inside = os.path.join(scratch, "")
    join, clean, fsdecode = os.path.join, os.path.normpath, os.fsdecode

    def outside(path: Any) -> str | None:
        """The path if it is one beyond the scratch folder."""
        if path is None or isinstance(path, int):
            return None
        whole = clean(join(scratch, fsdecode(path)))
        return None if f"{whole}/".startswith(inside) else whole

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in PATHS:
            path = outside(arguments[0])
            if path is not None:
                writes = event == "open" and len(arguments) > 2 and bool((arguments[2] or 0) & WRITING)
                kind = "writes" if writes or event not in ("open", "os.listdir", "os.scandir", "os.chdir") else "reads"
                tell(f"{kind}: {'opened' if event == 'open' else event} {path}"[:MOST_CHARS])
            return
        for prefix, kind in NAMED:
            if event.startswith(prefix):
                tell(f"{kind}: {event} {_told(arguments)}".strip()[:MOST_CHARS])

    return hook


def _told(arguments: tuple[Any, ...]) -> str:
    """The arguments that are plain values."""
    return " ".join(str(value) for value in arguments if isinstance(value, str | bytes | int | tuple))


def full_disk(error: BaseException) -> bool:
    """Whether an error says that the scratch folder, or a file, is as large as it may be."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
