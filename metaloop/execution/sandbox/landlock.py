"""No files, where the kernel grants no namespaces: a Landlock ruleset without a single rule.

Landlock (Linux 5.13 and later; Documentation/userspace-api/landlock.rst) needs no privilege. What it handles is denied
unless a rule allows it. Descriptors that are open already stay usable.
"""

from __future__ import annotations

import ctypes
import os
import sys

CREATE_RULESET, RESTRICT_SELF = 444, 446  # the same numbers on every architecture
ASK_VERSION = 1
FILES = {1: 13, 2: 14, 3: 15, 4: 15}  # rights on files by version: so many low bits
FILES_LATER = 16
TCP, SCOPES = 3, 3  # bind and connect, from version 4; abstract sockets and signals to others, from version 6


def forbid_files() -> bool:
    """Deny this process every file for good; False where the kernel has no Landlock.

    The process must have given up new privileges (PR_SET_NO_NEW_PRIVS) before.
    """
    if sys.platform != "linux":
        return False
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    version = syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)
    if version < 1:
        return False
    handled = [(1 << FILES.get(version, FILES_LATER)) - 1]
    handled += [TCP] * (version >= 4) + [SCOPES] * (version >= 6)
    attributes = (ctypes.c_uint64 * len(handled))(*handled)
    ruleset = syscall(CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(8 * len(handled)), 0)
    if ruleset < 0:
        return False
    stands = syscall(RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return bool(stands)
