"""What passes between a controller and the backend that hosts it.

Messages come in with the time, commands go out; neither side reads a clock, a network or a random generator.
"""

from __future__ import annotations

import msgspec

from metaloop.vocabulary.decisions import Decision, Observation
from metaloop.vocabulary.records import Experiment, Idea, TrainingRequest, TrainingResult


class Decided(msgspec.Struct, frozen=True):
    """A member answered the ask."""

    ask: int
    actor: str
    decision: Decision


class ActorLost(msgspec.Struct, frozen=True):
    """A member's process died before it answered; the backend has made a new, empty one.

    ``ask`` is the question that died with it, by which a message that arrives twice is known; ``None``: it was asked
    nothing, or the backend delivers every message once.
    """

    actor: str
    reason: str
    ask: int | None = None


class Trained(msgspec.Struct, frozen=True):
    """A device finished an attempt."""

    device: str
    experiment: str
    attempt: int
    result: TrainingResult


class DeviceLost(msgspec.Struct, frozen=True):
    """A device's process died; whatever it trained is lost. The run goes on paying for the device.

    ``life`` counts the device's processes from 0, and says which one died, by which a message that arrives twice or
    late is known; ``None``: the backend delivers every message once and in order.
    """

    device: str
    reason: str
    life: int | None = None


class DeviceLeaving(msgspec.Struct, frozen=True):
    """The device's node will go: it gets nothing new, while what it trains may end. It is back with
    :class:`DeviceReady`.

    May come before the run begins. Not journaled: what follows is only who trains what.
    """

    device: str


class DeviceReady(msgspec.Struct, frozen=True):
    """A device's process is back; ``life`` is the number of the new one (see :class:`DeviceLost`)."""

    device: str
    life: int | None = None


class DevicesAre(msgspec.Struct, frozen=True):
    """What each of these devices is: a GPU's name, or a processor's model."""

    hardware: dict[str, str]


class IdeaArrived(msgspec.Struct, frozen=True):
    """A person (or a scout) added an idea."""

    idea: Idea


class Woken(msgspec.Struct, frozen=True):
    """A timer that the controller set has run out."""


class Drain(msgspec.Struct, frozen=True):
    """This process will be stopped: nothing new is begun, what is under way may end.

    Not journaled: what follows is what follows from any death, only that less is lost.
    """


Message = (
    Decided | ActorLost | Trained | DeviceLost | DeviceLeaving | DeviceReady | DevicesAre | IdeaArrived | Woken | Drain
)


class Ask(msgspec.Struct, frozen=True):
    """Put the observation before the member. ``reborn``: forget what an earlier life of it has seen.

    ``ask`` grows from question to question, over the lives of a controller too.
    """

    ask: int
    actor: str
    observation: Observation
    reborn: bool = False


class Train(msgspec.Struct, frozen=True):
    """Train the experiment on the device."""

    device: str
    experiment: Experiment
    attempt: int
    request: TrainingRequest


class Wake(msgspec.Struct, frozen=True):
    """Send :class:`Woken` at run time ``at``."""

    at: float


class GiveBack(msgspec.Struct, frozen=True):
    """The run no longer needs the device."""

    device: str


Command = Ask | Train | Wake | GiveBack
