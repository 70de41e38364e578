"""What harness, zygote and guest tell each other: small frozen records, as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

MIB = 1 << 20
Wall = Literal["namespaces", "rlimits"]
"""What stands around a guest: namespaces with an empty root; or, where the kernel grants none, limits alone. A filter
on system calls comes on top of either where there is one."""
Files = Literal["none", "landlock", "open"]
"""What a guest can reach of the host's files: there are none in its root; there are, but Landlock denies every one; or
all that its user may open, with nothing but the tripwire before them."""
ORDER_BYTES = 1024
"""Every order to the zygote is padded to this, so that one read takes one order with the descriptors it brings."""
MESSAGE_CHARS = 300
"""Most characters of a reason or error that changed code had a hand in."""


class Limits(msgspec.Struct, frozen=True):
    """What one guest may use: bytes of address space beyond the zygote's own, processor seconds, bytes of scratch
    (0: nothing can be written). ``tripwire`` off shows that the walls hold without it; ``walls`` "rlimits" what stands
    where the kernel grants no namespaces. ``gpu``: CUDA is woken before the walls go up, and its address space, which
    the driver reserves by the terabyte, is not limited."""

    memory_bytes: int = 2048 * MIB
    cpu_s: int = 600
    scratch_bytes: int = 8 * MIB
    tripwire: bool = True
    walls: Wall = "namespaces"
    gpu: bool = False


class Order(msgspec.Struct, frozen=True):
    """Harness to zygote: fork guest ``number`` (three or four descriptors come along: channel, output, and for a
    training its shard), or kill it."""

    do: Literal["fork", "kill"]
    number: int
    limits: Limits


class Ended(msgspec.Struct, frozen=True):
    """Zygote to harness: guest ``number`` is gone. ``signal`` is 0 if it exited; ``cpu_s`` and ``peak_bytes`` from the
    kernel's account of it."""

    number: int
    code: int
    signal: int
    cpu_s: float
    peak_bytes: int


class Hello(msgspec.Struct, frozen=True):
    """Guest to harness, before it has seen any changed code: which walls stand around it."""

    wall: Wall
    filter: bool
    files: Files


class Task(msgspec.Struct, frozen=True):
    """Harness to guest. ``fit``: train on the shard, once for each seed, and hand over the weights. ``serve``: turn
    token batches into logits. ``code``: whole texts of the changed files. ``shard``: tokens of the shard to train
    on, 0 for all of it."""

    do: Literal["fit", "serve"]
    preset: str
    knobs: dict[str, float | int | bool | str]
    code: dict[str, str]
    device: str
    vocab: int
    token_type: str
    seeds: tuple[int, ...] = ()
    budget_fraction: float = 1.0
    shard: int = 0


class Fitted(msgspec.Struct, frozen=True):
    """Guest to harness after each training: what it says of itself (never a score), and the protected names that it
    found replaced."""

    state: str
    message: str
    steps: int
    tokens: int
    flops: float
    replaced: tuple[str, ...] = ()


class Logits(msgspec.Struct, frozen=True):
    """Guest to harness ahead of each block of logits."""

    shape: tuple[int, ...]
    dtype: str
