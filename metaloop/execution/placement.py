"""What one device of an org run is to the cluster."""

from __future__ import annotations

import msgspec

KIND = "accelerator_type:"
"""What the resource that says which accelerator a node has begins with. Every such node has 1 of it."""
A_TOUCH = 0.001
"""How much of it a device takes, so that it never runs out (as Ray's own ``accelerator_type=`` does)."""


class Placement(msgspec.Struct, frozen=True):
    """Resources that each device reserves: shares of a CPU core and, where the cluster has any, of a GPU.

    Below 1, devices share cores or GPUs: then each trains more slowly, and allocated device time is no longer machine
    time. That is for trainings too small to fill a GPU, and for measuring the loop itself with many idle trainers.

    ``wait_s``: how long devices may take to come free, or to be added by the cluster's autoscaler, which sees the
    waiting reservation as demand. With 0 they must be there.

    ``accelerator``: the kind of node that all devices must be on, as Ray's resource ``accelerator_type:NAME`` has it;
    empty: any. ``lanes``: how many backends of one process will each take such devices (see ``RayBackend``'s
    ``beside``): all are asked for at once, so that an autoscaler adds nodes for all of them at once.
    """

    cpus: float = 1.0
    gpus: float = 1.0
    wait_s: float = 0.0
    accelerator: str = ""
    lanes: int = 1

    def resources(self, gpu: bool) -> dict[str, float]:
        """In Ray's words."""
        pinned = {KIND + self.accelerator: A_TOUCH} if self.accelerator else {}
        return {**({"GPU": self.gpus} if gpu else {}), "CPU": self.cpus, **pinned}

    def of_group(self, gpu: bool, devices: int) -> dict[str, float]:
        """What so many devices that train together reserve, on one node."""
        return {name: amount * devices for name, amount in self.resources(gpu).items()}

    def most_devices(self, resources: dict[str, float]) -> int:
        """How many devices a cluster with these resources has."""
        gpu = bool(resources.get("GPU"))
        name, each = ("GPU", self.gpus) if gpu else ("CPU", self.cpus)
        # Ray counts in ten-thousandths; a quotient of such fractions may fall short of a whole number by rounding.
        return int(resources.get(name, 0.0) / each + 1e-6)


def device_names(kind: str, devices: int, together: int) -> tuple[str, ...]:
    """Names of ``devices`` devices of which ``together`` at a time train as one: ``gpu-0``, or ``gpu-0-3``.

    Raises:
        ValueError: they do not come out even.
    """
    if devices % together:
        raise ValueError(f"{devices} devices cannot be parted into groups of {together}: expected a multiple of it")
    return tuple(
        f"{kind}-{first}" if together == 1 else f"{kind}-{first}-{first + together - 1}"
        for first in range(0, devices, together)
    )


WHOLE = Placement()
"""A device is a core, or a GPU with a core to feed it."""
