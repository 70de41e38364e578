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
from metaloop.execution.ray_reservation import Reservations
from metaloop.execution.ray_roles import Roles
from metaloop.execution.ray_trainers import START_S, Trainers, Trainings
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult

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
        shared = beside._reservations if beside else None
        self._reservations: Reservations = shared or Reservations(self._ray, devices, spec.devices, placement)
        gpu = self._reservations.gpu
        self._roles = Roles(self._ray)
        self._trainers = Trainers(self._ray, spec, gpu, placement)
        self.devices = device_names("gpu" if gpu else "cpu", devices, spec.devices)
        try:
            self._reservation = self._reservations.take()
        except BackendError:
            self.close()
            raise
        self._warm_up(self._trainers.start(self.devices, self._reservation))

    def close(self) -> None:
        """End the processes and give the devices back; the backend that started Ray ends it."""
        if self._beside is None:
            self._ray.shutdown()
            return
        for actor in (*self._trainers.of.values(), *self._roles.actors):
            self._ray.kill(actor)
        if self._reservation is not None:
            self._reservations.give_back(self._reservation)

    @property
    def hardware(self) -> tuple[str, ...]:
        """What each device is."""
        return tuple(self._trainers.hardware[device] for device in self.devices)

    def _warm_up(self, refs: dict[str, Any]) -> None:
        self._trainers.hardware |= self._come_up(refs, self._trainers.restart, "trainers")

    def _come_up(self, refs: dict[str, Any], again: Callable[[str], Any], what: str) -> dict[str, Any]:
        """Wait until processes are up; what they answered. One that dies meanwhile, or had died unnoticed while it had
        nothing to do, is started again: its node may have gone.

        Raises:
            BackendError
        """
        reason, answers = "", dict[str, Any]()
        for _ in range(MOST_STARTS):
            dead: dict[str, Any] = {}
            for name, ref in refs.items():
                try:
                    answers[name] = self._ray.get(ref, timeout=START_S)
                except self._ray.exceptions.GetTimeoutError:
                    raise BackendError(
                        f"the {what} did not start within {START_S:.0f} s. Is the cluster full?"
                    ) from None
                except self._ray.exceptions.RayError as error:
                    dead[name], reason = again(name), last_line(error)
            if not dead:
                return answers
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
        self._warm_up({device: self._trainers.ready(device) for device in self.devices})
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
