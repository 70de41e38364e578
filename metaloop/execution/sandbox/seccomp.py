"""A filter on system calls, as a classic BPF program written by hand: what a training never needs kills the process.

Sources: Linux `include/uapi/linux/{bpf_common,seccomp,audit}.h` for the constants, `arch/x86/entry/syscalls/
syscall_64.tbl` and `include/uapi/asm-generic/unistd.h` for the numbers. The filter holds for good: it outlives every
call that the code can make, and is inherited by threads.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
EPERM, ENOSYS = 1, 38
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; arguments: their low 32 bits
CLONE_THREAD = 0x00010000
X32 = 0x40000000  # calls of x86-64's second, 32-bit ABI begin here
PR_SET_SECCOMP, MODE_FILTER = 22, 2
PR_SET_NAME, PR_GET_NAME, PR_SET_VMA = 15, 16, 0x53564D41  # what the C library and PyTorch's threads ask of prctl

NUMBERS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({
    # name: (x86-64, aarch64); -1: the architecture has no such call
    "fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "symlink": (88, -1), "symlinkat": (266, 36), "link": (86, -1), "linkat": (265, 37),
    "mknod": (133, -1), "mknodat": (259, 33), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "quotactl": (179, 60), "acct": (163, 89), "personality": (135, 92),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "setuid": (105, 146), "setresuid": (117, 147), "setgid": (106, 144), "setresgid": (119, 149), "capset": (126, 91),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18), "vhangup": (153, 58),
})  # fmt: skip
"""Calls that end the process."""
CLONE, CLONE3, PRCTL, KILL_CALL, TGKILL = (56, 220), (435, 435), (157, 167), (62, 129), (234, 131)
AUDIT: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "arm64": (0xC00000B7, 1)}
)
"""Machine to its AUDIT_ARCH and its column of :data:`NUMBERS`."""


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter; ``yes`` and ``no`` are instructions to jump over."""
    return struct.pack("=HBBI", code, yes, no, value)


def program(machine: str, pid: int) -> bytes:
    """The filter for a process ``pid`` on ``machine``. Raises KeyError for a machine that it is not written for.

    Only threads may be cloned (clone3 is said not to exist, so that the C library falls back to clone, whose flags a
    filter can read); only the process itself may be signalled; prctl only names things.
    """
    architecture, column = AUDIT[machine]
    out = [
        _instruction(LOAD, ARCHITECTURE), _instruction(EQUAL, architecture, 1, 0), _instruction(RETURN, KILL),
        _instruction(LOAD, NUMBER), _instruction(AT_LEAST, X32, 0, 1), _instruction(RETURN, KILL),
    ]  # fmt: skip
    for numbers in NUMBERS.values():
        if numbers[column] >= 0:
            out += [_instruction(EQUAL, numbers[column], 0, 1), _instruction(RETURN, KILL)]
    out += [_instruction(EQUAL, CLONE3[column], 0, 1), _instruction(RETURN, ERRNO | ENOSYS)]
    out += [
        _instruction(EQUAL, CLONE[column], 0, 4), _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(ANY_BIT, CLONE_THREAD, 0, 1), _instruction(RETURN, ALLOW), _instruction(RETURN, KILL),
    ]  # fmt: skip
    for numbers in (KILL_CALL, TGKILL):
        out += [
            _instruction(EQUAL, numbers[column], 0, 4), _instruction(LOAD, FIRST_ARGUMENT),
            _instruction(EQUAL, pid, 0, 1), _instruction(RETURN, ALLOW), _instruction(RETURN, KILL),
        ]  # fmt: skip
    out += [
        _instruction(EQUAL, PRCTL[column], 0, 6), _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(EQUAL, PR_SET_NAME, 3, 0), _instruction(EQUAL, PR_GET_NAME, 2, 0),
        _instruction(EQUAL, PR_SET_VMA, 1, 0), _instruction(RETURN, ERRNO | EPERM), _instruction(RETURN, ALLOW),
        _instruction(RETURN, ALLOW),
    ]  # fmt: skip
    return b"".join(out)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install() -> bool:
    """Put the filter on this process, for good; False where the machine or the kernel has none.

    The process must have given up new privileges (PR_SET_NO_NEW_PRIVS) before.
    """
    try:
        code = program(platform.machine(), os.getpid())
    except KeyError:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # prctl takes unsigned longs: a Python int would go as a C int, and leave the upper half undefined.
    asked = _Program(len(code) // 8, code)
    return bool(libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(MODE_FILTER), ctypes.byref(asked), 0, 0) == 0)
