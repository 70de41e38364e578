"""Walls around a guest: namespaces with an empty root, limits, no privileges.

What holds a guest is here, in :mod:`~metaloop.execution.sandbox.seccomp` and in
:mod:`~metaloop.execution.sandbox.landlock`; nothing here depends on what the guest's
Python does later. Everything that a guest needs is in its memory or an open descriptor before the walls go up, so its
root holds nothing but a scratch folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

from metaloop.execution.sandbox.records import MIB, Limits

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
"""unshare flags: Linux include/uapi/linux/sched.h."""
ALL = NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_REC, MS_PRIVATE, MNT_DETACH = (
    1, 2, 4, 8, 32, 1 << 14, 1 << 18, 2,
)  # fmt: skip
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION_3 = 0x20080522
NOBODY = 65534
SCRATCH = "/tmp"
OPEN_FILES, OPEN_FILES_GPU = 64, 1024
THREADS = 256


def libc() -> ctypes.CDLL:
    """The C library, keeping errno."""
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(libc(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter_namespaces() -> bool:
    """New namespaces for mounts, network, IPC, host name and (for children) processes; False if the kernel refuses.

    Root needs no user namespace; anyone else becomes root of an own one, where only the own user exists.
    """
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    attempts = (ALL, ALL | NEWUSER) if user == 0 else (ALL | NEWUSER,)
    for flags in attempts:
        try:
            _call("unshare", flags)
            if flags & NEWUSER:
                _map_self(user, group)
            return True
        except OSError:
            continue
    return False


def _map_self(user: int, group: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def empty_root(place: str, scratch_bytes: int) -> None:
    """Make the process's root an empty read-only folder with a size-limited scratch folder; the host's is detached.
    ``place``: any folder, over which the new root is mounted on the way.

    Raises OSError.
    """
    encode, quiet = os.fsencode, MS_NOSUID | MS_NODEV | MS_NOEXEC
    _call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
    _call("mount", b"tmpfs", encode(place), b"tmpfs", ctypes.c_ulong(quiet), b"size=64k,nr_inodes=16,mode=755")
    os.chdir(place)
    os.mkdir(SCRATCH.lstrip("/"))
    if scratch_bytes:
        sized = f"size={scratch_bytes},nr_inodes=1024,mode=1777".encode()
        _call("mount", b"tmpfs", encode(SCRATCH.lstrip("/")), b"tmpfs", ctypes.c_ulong(quiet), sized)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", MNT_DETACH)
    _call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REMOUNT | MS_RDONLY | quiet), None)
    os.chdir(SCRATCH)


def limit(limits: Limits) -> None:
    """Resource limits. The address space is bounded beyond what the process holds already; Linux only, for elsewhere
    the kernel does not keep that limit."""
    pairs = [
        (resource.RLIMIT_CPU, limits.cpu_s), (resource.RLIMIT_FSIZE, limits.scratch_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES_GPU if limits.gpu else OPEN_FILES),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, THREADS),
    ]  # fmt: skip
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        pairs += [(resource.RLIMIT_MSGQUEUE, 0)]
        if not limits.gpu:
            pairs += [(resource.RLIMIT_AS, held + limits.memory_bytes), (resource.RLIMIT_MEMLOCK, 8 * MIB)]
    for kind, most in pairs:
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


def drop_privileges() -> None:
    """Become nobody if root, give up all capabilities and any new privilege.

    The death signal comes last: the kernel forgets it when credentials change.
    """
    if os.getuid() == 0:
        with contextlib.suppress(OSError):  # in a user namespace of one user there is nobody else to become
            os.setgroups([])
        with contextlib.suppress(OSError):
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    if sys.platform != "linux":
        return
    _drop_capabilities()
    _call("prctl", PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
    _call("prctl", PR_SET_DUMPABLE, ctypes.c_ulong(0), 0, 0, 0)
    die_with_parent()


def _drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. A parent that is gone already is not noticed."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
