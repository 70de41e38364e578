"""Lines stand whole or not at all: full disks and rival processes, both real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from metaloop.files import journal
from metaloop.files.run_folder import held
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.records import Cost

FILL = """
import resource, sys
from pathlib import Path
from metaloop.files import journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.records import Cost
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = journal.FileJournal(Path(sys.argv[1]))
for number in range(100):
    try:
        log.append(ev.Passed(float(number), "someone", "a reason that takes some room", Cost()))
    except FileError as error:
        print(number, error)
        break
"""
HOLD = """
import sys, time
from pathlib import Path
from metaloop.files import journal
log = journal.FileJournal(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_disk_that_fills_up_in_mid_line_leaves_whole_lines_and_says_so(tmp_path: Path) -> None:
    """A limit on file sizes is met as a full disk is: the line that reaches it is written in part, the rest refused."""
    path = tmp_path / "journal.jsonl"
    done = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True)
    acknowledged, message = done.stdout.split(" ", 1)
    assert path.read_bytes().endswith(b"\n")
    assert len(journal.read(path)) == int(acknowledged) > 3
    assert path.stat().st_size < 1000, "the limit was met in the middle of a line"
    assert f"{path}: cannot be written: File too large." in message
    assert "resume" in message
    log = journal.FileJournal(path)
    log.append(ev.Passed(9.0, "someone", "goes on", Cost()))
    log.close()
    assert len(journal.read(path)) == int(acknowledged) + 1


@pytest.mark.parametrize("stopped", [False, True])
def test_a_journal_has_one_writer_even_one_that_was_stopped(tmp_path: Path, stopped: bool) -> None:
    path = tmp_path / "journal.jsonl"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        if stopped:
            other.send_signal(signal.SIGSTOP)
        with pytest.raises(FileError, match="another process is at work here"):
            journal.FileJournal(path)
        other.kill()
        other.wait()
    journal.FileJournal(path).close()


def test_a_folder_has_one_command_at_work(tmp_path: Path) -> None:
    with held(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(FileError, match="another process is at work"), held(tmp_path):
            pass
    with held(tmp_path):
        pass
