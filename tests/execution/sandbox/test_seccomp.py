"""The filter, decided by a small interpreter of its instructions: for both architectures, wherever tests run."""

from __future__ import annotations

import errno
import struct

import pytest

from metaloop.execution.sandbox import seccomp as sc

PID = 77
MACHINES = ("x86_64", "aarch64")
ALLOWED = {  # calls of every training; numbers as in seccomp.NUMBERS
    "read": (0, 63), "write": (1, 64), "mmap": (9, 222), "munmap": (11, 215), "brk": (12, 214), "futex": (202, 98),
    "openat": (257, 56), "exit_group": (231, 94), "getrandom": (318, 278), "madvise": (28, 233),
    "sched_getaffinity": (204, 123), "prlimit64": (302, 261),
}  # fmt: skip


def decide(machine: str, number: int, first: int = 0, architecture: int | None = None) -> int:
    """What the kernel would return for a call: an interpreter of the classic BPF instructions used."""
    said = sc.AUDIT[machine][0] if architecture is None else architecture
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, said, 0, first & (2**64 - 1), 0, 0, 0, 0, 0)
    program = list(struct.iter_unpack("=HBBI", sc.program(machine, PID)))
    at, accumulator = 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        if code == sc.LOAD:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == sc.RETURN:
            return int(value)
        else:
            holds = {
                sc.EQUAL: accumulator == value, sc.AT_LEAST: accumulator >= value,
                sc.ANY_BIT: bool(accumulator & value),
            }[code]  # fmt: skip
            at += yes if holds else no


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_training_needs_is_allowed_and_the_rest_kills(machine: str) -> None:
    column = sc.AUDIT[machine][1]
    for name, numbers in ALLOWED.items():
        assert decide(machine, numbers[column]) == sc.ALLOW, name
    for name, numbers in sc.NUMBERS.items():
        if numbers[column] >= 0:
            assert decide(machine, numbers[column]) == sc.KILL, name


@pytest.mark.parametrize("machine", MACHINES)
def test_only_threads_are_cloned(machine: str) -> None:
    column = sc.AUDIT[machine][1]
    assert decide(machine, sc.CLONE[column], sc.CLONE_THREAD | 0x100) == sc.ALLOW
    assert decide(machine, sc.CLONE[column], 17) == sc.KILL
    assert decide(machine, sc.CLONE3[column]) == sc.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_only_the_process_itself_is_signalled(machine: str) -> None:
    column = sc.AUDIT[machine][1]
    for call in (sc.KILL_CALL, sc.TGKILL):
        assert decide(machine, call[column], PID) == sc.ALLOW
        for other in (0, 1, -1, PID + 1):
            assert decide(machine, call[column], other) == sc.KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_prctl_only_names_things(machine: str) -> None:
    call = sc.PRCTL[sc.AUDIT[machine][1]]
    for option in (sc.PR_SET_NAME, sc.PR_GET_NAME, sc.PR_SET_VMA):
        assert decide(machine, call, option) == sc.ALLOW
    for option in (1, 4, 22, 38):  # death signal, dumpable, seccomp, new privileges
        assert decide(machine, call, option) == sc.ERRNO | errno.EPERM


def test_calls_of_another_architecture_kill() -> None:
    assert decide("x86_64", 0, architecture=0x40000003) == sc.KILL  # i386
    assert decide("x86_64", sc.X32 | 1) == sc.KILL
    with pytest.raises(KeyError):
        sc.program("riscv64", PID)
