"""The Ray backend: members and trainers are Ray actors, time is the wall clock. The only place that imports Ray.

The driver process hosts the controller and turns its commands into actor calls; every answer comes back as a
message with the time. Trainers hold one device each (a CPU core, or a GPU) for as long as the backend lives, so
that an experiment never pays for starting a process; role actors hold none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaloop.execution.backend import Hosting
from metaloop.execution.heartbeats import HEALTH, lease_s
from metaloop.execution.notice import Notice
from metaloop.execution.placement import WHOLE, Placement, device_names
from metaloop.execution.ray_connection import last_line, start_ray
from metaloop.execution.ray_hosting import HostLoop
from metaloop.execution.ray_roles import Roles
from metaloop.execution.ray_trainers import START_S, Trainers, Trainings
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult

RESERVE_S = 20.0
"""How long devices that are there may take to come free: Ray gives back those of an ended run within seconds."""
MOST_STARTS = 3
"""A process that dies this often before it is up dies of itself, and not of its node."""


class RayBackend:
    """``devices`` devices on a local Ray (``address`` None) or a running cluster, with a trainer actor for each group
    of ``spec.devices`` that share a training; :attr:`devices` names the groups.

    ``in_order``: answers are taken in the order of the questions, before any training's result. Processes of a
    cluster keep no such order among themselves, so this is how a run on one device repeats decision by decision
    (and how it is compared with the simulator); a slow member then holds up all others.

    ``beside``: another backend of this process, whose Ray is used too, so that org runs go on side by side, one thread
    each. Each backend's devices are a reservation of its own (a placement group). The first one is closed last.

    ``placement``: what one device is to Ray. Once :attr:`notice` is given (``beside`` has the same), nothing new is
    begun, and :meth:`host` and :meth:`train_all` end with :class:`Preempted`.
    """

    name = "ray"

    def __init__(
        self,
        spec: TrainerSpec,
        devices: int,
        address: str | None = None,
        *,
        in_order: bool = False,
        beside: RayBackend | None = None,
        placement: Placement = WHOLE,
    ) -> None:
        self.notice: Notice = beside.notice if beside else Notice()
        self._longest_s = describe(spec).longest_s
        self._in_order = in_order
        self._beside = beside
        self._reservation: Any = None
        self._ray: Any = beside._ray if beside else start_ray(address)
        self._gpu = bool(self._ray.cluster_resources().get("GPU"))
        self._roles = Roles(self._ray)
        self._trainers = Trainers(self._ray, spec, self._gpu, placement)
        self._together = spec.devices
        self.devices = device_names("gpu" if self._gpu else "cpu", devices, spec.devices)
        self._reserve(placement)
        self._come_up(self._trainers.start(self.devices, self._reservation), self._trainers.restart, "trainers")

    def close(self) -> None:
        """End the processes and give the devices back; the backend that started Ray ends it."""
        if self._beside is None:
            self._ray.shutdown()
            return
        for actor in (*self._trainers.of.values(), *self._roles.actors):
            self._ray.kill(actor)
        if self._reservation is not None:
            self._ray.util.remove_placement_group(self._reservation)

    def _reserve(self, placement: Placement) -> None:
        """Take the devices for as long as the backend lives.

        Raises:
            BackendError: there are not as many, or others hold them.
        """
        resource, asked = "GPU" if self._gpu else "CPU", len(self.devices) * self._together
        known = placement.most_devices(self._ray.cluster_resources())
        if asked > known and not placement.wait_s:
            self.close()
            raise BackendError(
                f"asked for {asked} devices, but there are {known} ({resource}). Ask for at most {known}, or let a "
                "cluster that grows add nodes with --wait-minutes."
            )
        bundles = [placement.of_group(self._gpu, self._together)] * len(self.devices)
        self._reservation = self._ray.util.placement_group(bundles, strategy="PACK")
        try:
            self._ray.get(self._reservation.ready(), timeout=RESERVE_S + placement.wait_s)
        except self._ray.exceptions.GetTimeoutError:
            free = placement.most_devices(self._ray.available_resources())
            known = placement.most_devices(self._ray.cluster_resources())
            self._ray.util.remove_placement_group(self._reservation)
            self.close()
            together = f" Those that share a training must be {self._together} on one node." * (self._together > 1)
            raise BackendError(
                f"asked for {asked} devices, but {free} of the cluster's {known} ({resource}) are free, each on a node "
                f"with a free CPU.{together} Ask for fewer, or wait longer with --wait-minutes."
            ) from None

    def _come_up(self, refs: dict[str, Any], again: Callable[[str], Any], what: str) -> None:
        """Wait until processes are up. One that dies meanwhile, or had died unnoticed while it had nothing to do, is
        started again: its node may have gone.

        Raises:
            BackendError
        """
        reason = ""
        for _ in range(MOST_STARTS):
            dead: dict[str, Any] = {}
            for name, ref in refs.items():
                try:
                    self._ray.get(ref, timeout=START_S)
                except self._ray.exceptions.GetTimeoutError:
                    raise BackendError(
                        f"the {what} did not start within {START_S:.0f} s. Is the cluster full?"
                    ) from None
                except self._ray.exceptions.RayError as error:
                    dead[name], reason = again(name), last_line(error)
            if not dead:
                return
            refs = dead
        raise BackendError(f"the {what} could not start: {reason}")

    def _kill_silent(self) -> None:
        """Who was stopped while it had nothing to do has missed no call yet: it is asked for a sign of life, once."""
        actors = [*self._trainers.of.values(), *self._roles.actors]
        pings = {actor.alive.options(concurrency_group=HEALTH).remote(): actor for actor in actors}
        answered = set(self._ray.wait(list(pings), num_returns=len(pings), timeout=lease_s(self._longest_s))[0])
        for ping, actor in pings.items():
            if ping not in answered:
                self._ray.kill(actor)

    def host(self, hosting: Hosting) -> None:
        """Run until the controller has ended; processes that die are replaced, and the controller is told.

        Raises:
            Preempted, BackendError: the run can be taken up again.
        """
        self._kill_silent()
        ready = {device: self._trainers.ready(device) for device in self.devices}
        self._come_up(ready, self._trainers.restart, "trainers")
        self._come_up(self._roles.assign(hosting), self._roles.revive, "role actors")
        HostLoop(self._ray, self._trainers, self._roles, hosting, self.notice, in_order=self._in_order).run()

    def train_all(
        self,
        requests: Sequence[TrainingRequest],
        on_result: Callable[[int, TrainingResult], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Train everything; a request whose device dies is tried once more, then is a crash."""
        devices = [device for device in self.devices if device not in without]
        Trainings(self._ray, self._trainers, devices, self._longest_s, self.notice).run(requests, on_result)
