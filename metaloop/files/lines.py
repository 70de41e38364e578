"""Files of lines that are only ever appended to: a line stands whole or not at all, whatever dies or fills up.

A process may be killed at any byte, a disk may be full in the middle of a line. What was cut off was never
acknowledged to anyone, so it is taken back at once where that can be done, and else by whoever appends next.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from metaloop.vocabulary.errors import FileError

_UNLOCKABLE = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)
"""What file systems say that have no locks."""


def hold(file: BinaryIO, path: Path) -> None:
    """Be the only process that writes ``file`` until it is closed or the process ends, however it ends.

    A file system without locks leaves this to the person who starts the processes.

    Raises:
        FileError: another process holds it, one that was stopped (SIGSTOP) included: it would write again.
    """
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileError(
            path, None, "another process is at work here, or was stopped in the middle of it. Let it end, or end it."
        ) from None
    except OSError as error:
        if error.errno not in _UNLOCKABLE:
            raise


def cut_torn_line(path: Path) -> None:
    """Cut a file of lines after its last newline; a missing file stays missing."""
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)


def append(file: BinaryIO, path: Path, line: bytes) -> None:
    """Append one line to an unbuffered file: all of it, or nothing.

    Raises:
        FileError: it could not be written, for instance because the disk is full.
    """
    began = os.fstat(file.fileno()).st_size
    try:
        written = file.write(line)
        while written < len(line):  # a nearly full disk takes a part, and refuses the rest
            written += file.write(line[written:])
    except OSError as error:
        os.ftruncate(file.fileno(), began)
        raise FileError(path, None, f"cannot be written: {error.strerror}. Mend that; {GO_ON}") from None


GO_ON = "nothing is lost, `metaloop resume DIR` goes on."
