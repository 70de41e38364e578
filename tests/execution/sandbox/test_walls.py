"""The walls hold with the tripwire switched off, and nothing outlives the harness."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from metaloop.execution.nanogpt_trainer import EDITABLE, LONGEST_S, NanogptTrainer
from metaloop.execution.sandbox.records import Limits, Wall
from metaloop.execution.sandbox.training import Sandbox
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from nanogpt.prepare import load_corpus
from tests.execution.sandbox.cheats import Cheat, before, code

WALL = r"wall: made a system call that no training needs \(SIGSYS\)"
SYSCALL = "import ctypes\nctypes.CDLL(None, use_errno=True).{}\n"
HELD: tuple[Cheat, ...] = (
    Cheat("fork", (before("import os\nos.fork()"),), WALL),
    Cheat("fork bomb", (before("import os\nwhile True:\n    os.fork()"),), WALL),
    Cheat("vfork and exec", (before("import os\nos.posix_spawn('/bin/ls', ['ls'], {})"),), WALL),
    Cheat("exec", (before("import os\nos.execv('/bin/ls', ['ls'])"),), WALL),
    Cheat("socket", (before("import socket\nsocket.socket()"),), WALL),
    Cheat("ptrace", (before(SYSCALL.format("ptrace(16, 1, 0, 0)")),), WALL),
    Cheat("mount", (before(SYSCALL.format("mount(b'none', b'/tmp', b'tmpfs', 0, None)")),), WALL),
    Cheat("unshare", (before(SYSCALL.format("unshare(0x10000000)")),), WALL),
    Cheat("bpf", (before(SYSCALL.format("syscall(321, 0, 0, 0)")),), WALL),
    Cheat("another process's memory", (before(SYSCALL.format("process_vm_readv(1, None, 0, None, 0, 0)")),), WALL),
    Cheat("signal to all", (before("import os, signal\nos.kill(-1, signal.SIGKILL)"),), WALL),
    Cheat("signal to its parent", (before("import os, signal\nos.kill(os.getppid(), signal.SIGTERM)"),), WALL),
    Cheat("symlink", (before("import os\nos.symlink('/etc/passwd', 'x')"),), WALL),
    Cheat("keyring", (before(SYSCALL.format("syscall(250, 0, 0, 0, 0, 0)")),), WALL),
)
FILES = (
    "open('/etc/passwd')",
    "open('/proc/self/status')",
    "open('/dev/shm/x', 'w')",
    "import os\nos.listdir('/usr')",
    "import os\nos.open('../etc/passwd', 0)",
    "open('/forbidden', 'w')",
)


def sandbox(**limits: object) -> Sandbox:
    longest_s = LONGEST_S["cpu-micro"]
    return Sandbox("cpu-micro", load_corpus("stdlib"), "cpu", longest_s, EDITABLE, Limits(**limits))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["namespaces", "rlimits"])
def bare(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox without a tripwire, behind each kind of wall."""
    made = sandbox(tripwire=False, walls=request.param)
    yield made
    made.close()


def run(where: Sandbox | NanogptTrainer, cheat: Cheat) -> TrainingResult:
    result = where.train(TrainingRequest({}, seed=3, code=code(*cheat.edits)))
    assert result.bpb == {}, result
    assert result.state == cheat.state, result
    assert re.match(cheat.reason, result.message), result
    return result


@pytest.mark.skipif(sys.platform != "linux", reason="the filter on system calls is Linux's")
@pytest.mark.parametrize("cheat", HELD, ids=lambda cheat: cheat.name)
def test_the_filter_holds_without_the_tripwire(bare: Sandbox, cheat: Cheat) -> None:
    assert run(bare, cheat).hashes["filter"] == "seccomp"


def test_a_connection_does_not_arrive(bare: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        connect = f"import socket\nsocket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))"
        run(bare, Cheat("", (before(connect),), WALL))
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("statement", FILES)
def test_there_are_no_files_behind_the_walls(bare: Sandbox, statement: str) -> None:
    missing = Cheat("", (before(statement),), "(FileNotFoundError|OSError: .*Read-only|PermissionError)", "crash")
    assert run(bare, missing).hashes["files"] == ("none" if bare._limits.walls == "namespaces" else "landlock")


def test_scored_text_is_not_there(bare: Sandbox) -> None:
    path = load_corpus("stdlib").splits["val"].filename  # type: ignore[attr-defined]
    run(bare, Cheat("", (before(f"open({str(path)!r})"),), "(FileNotFoundError|PermissionError)", "crash"))


@pytest.mark.parametrize("way", ["os.write(4, b'x')", "os.truncate(4, 0)", "os.fchmod(4, 0o777)"])
def test_the_shard_cannot_be_written(bare: Sandbox, way: str) -> None:
    run(bare, Cheat("", (before(f"import os\n{way}"),), "(OSError|PermissionError): ", "crash"))


def test_the_disk_holds_no_more_than_it_may(bare: Sandbox) -> None:
    fill = "for n in range(10**6):\n    open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))"
    result = bare.train(TrainingRequest({}, seed=3, code=code(before(fill))))
    assert result.bpb == {}
    assert re.match(r"disk: filled|PermissionError|OSError", result.message), result


def test_without_namespaces_the_result_says_so(bare: Sandbox) -> None:
    result = bare.train(TrainingRequest({}, seed=3, code=code(before("pass"))))
    assert (result.state, result.hashes["wall"]) == ("ok", bare._limits.walls)


@pytest.mark.skipif(os.getuid() != 0, reason="only root has something to give up")
@pytest.mark.parametrize("walls", ["namespaces", "rlimits"])
def test_root_becomes_nobody_without_capabilities(walls: Wall) -> None:
    made = sandbox(walls=walls, tripwire=False)
    say = "import os\nprint(os.getuid(), os.geteuid(), os.getgroups(), dict(os.environ).keys() & {'HOME', 'PATH'})"
    made.train(TrainingRequest({}, seed=3, code=code(before(say))))
    assert made.log.decode().strip() == "65534 65534 [] set()"
    made.close()


def test_secrets_of_the_harness_are_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    made = sandbox()
    made.train(TrainingRequest({}, seed=3, code=code(before("import os\nprint(sorted(os.environ.items()))"))))
    assert b"LANG" in made.log
    assert b"secret" not in made.log
    made.close()


PLAIN_USER = """
import ctypes, os, tempfile
from metaloop.execution.sandbox import seccomp, walls
from metaloop.execution.sandbox.records import Limits
place = tempfile.gettempdir()
if os.getuid() == 0:
    os.setgroups([]), os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534)
    walls.libc().prctl(walls.PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0)
assert walls.enter_namespaces()
if os.fork() == 0:
    walls.limit(Limits(cpu_s=5))
    walls.empty_root(place, 1 << 20)
    walls.drop_privileges()
    assert seccomp.install()
    assert (os.getpid(), os.listdir("/"), os.getcwd()) == (1, ["tmp"], "/tmp")
    open("/tmp/x", "w").write("x")
    try:
        open("/y", "w")
    except OSError:
        ctypes.CDLL(None).mount(b"none", b"/tmp", b"tmpfs", 0, None)
    os._exit(1)
print(os.wait()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_user_without_privileges_gets_the_same_walls() -> None:
    """In a user namespace, where the kernel grants it; the child's last act is a call that the filter kills."""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", PLAIN_USER], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) == signal.SIGSYS


SLEEPER = "import time\ntime.sleep(600)"


def test_the_wall_clock_ends_a_sleeper() -> None:
    made = Sandbox("cpu-micro", load_corpus("stdlib"), "cpu", 4.0, EDITABLE, Limits())
    started = time.monotonic()
    result = made.train(TrainingRequest({}, seed=3, code=code(before(SLEEPER))))
    assert (result.state, result.message, result.bpb) == ("timeout", "budget: over 2 s of wall time", {})
    assert time.monotonic() - started < 20
    made.close()


def test_a_zygote_that_dies_is_started_again() -> None:
    made = sandbox()
    request = TrainingRequest({}, seed=3, code=code(before("pass")))
    first = made.train(request)
    old = made.zygote.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    again = made.train(request)
    assert (again.state, again.bpb) == (first.state, first.bpb)
    assert made.zygote.pid != old
    made.close()


HARNESS = """
import sys
from tests.execution.sandbox.cheats import after
from tests.execution.sandbox.test_walls import *
made = sandbox()
made.train(TrainingRequest({}, seed=3, code=code(before("pass"))))
print("ready", flush=True)
made.train(TrainingRequest({}, seed=3, code=code(after(SLEEPER))))
"""


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def until(condition: object, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["harness", "zygote", "keeper"])
def test_whoever_is_killed_no_process_is_left(victim: str) -> None:
    root = Path(__file__).resolve().parents[3]
    harness = subprocess.Popen([sys.executable, "-c", HARNESS], cwd=root, stdout=subprocess.PIPE)
    try:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"ready\n"
        assert until(lambda: len(descendants(harness.pid)) == 3), "zygote, keeper and guest"
        family = sorted(descendants(harness.pid), key=lambda process: process.create_time())
        target = {"harness": harness.pid, "zygote": family[0].pid, "keeper": family[1].pid}[victim]
        doomed = family[1:] if victim == "keeper" else family
        os.kill(target, signal.SIGKILL)
        assert until(lambda: not any(process.is_running() and process.status() != "zombie" for process in doomed))
    finally:
        harness.kill()
        harness.wait()


def test_limits_travel_whole() -> None:
    limits = Limits(cpu_s=3, tripwire=False, walls="rlimits")
    assert msgspec.json.decode(msgspec.json.encode(limits), type=Limits) == limits
