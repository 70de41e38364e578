"""What a simulated cluster is like: every delay, difference and fault a named field of one typed description.

Times are in virtual seconds unless the name says otherwise, chances are per event, rates per device-hour. Each
default is the absence of the effect, so that an empty description is a perfect cluster with no delay at all.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Seconds = float
_LONG = 86_400.0


def _field(high: float, meaning: str, low: float = 0.0) -> msgspec.Meta:
    return msgspec.Meta(ge=low, le=high, description=meaning)


def _seconds(meaning: str) -> msgspec.Meta:
    return _field(_LONG, meaning)


def _chance(meaning: str) -> msgspec.Meta:
    return _field(0.9, meaning)


class Delays(msgspec.Struct, frozen=True):
    """What it takes to pass work around."""

    dispatch_s: Annotated[float, _seconds("From the controller's command until a training begins.")] = 0.0
    report_s: Annotated[float, _seconds("From the end of a training until the controller has its result.")] = 0.0
    ask_s: Annotated[float, _seconds("From the controller's question until a member has it.")] = 0.0
    answer_s: Annotated[float, _seconds("From a member's decision until the controller has it.")] = 0.0
    decide_s: Annotated[float, _seconds("Computing time of a scripted member for one decision.")] = 0.0
    controller_s: Annotated[
        float, _seconds("Time of the controller for each message; messages queue while it is busy.")
    ] = 0.0
    git_s: Annotated[float, _seconds("Time of the controller for each commit to the org run's repository.")] = 0.0


class Thinking(msgspec.Struct, frozen=True):
    """What decisions cost beyond what members declare: a model in place of each scripted brain.

    Latencies are medians of a log-normal distribution, the usual shape of service times.
    """

    propose_s: Annotated[float, _seconds("Median time to think of a proposal.")] = 0.0
    review_s: Annotated[float, _seconds("Median time to review a proposal.")] = 0.0
    judge_s: Annotated[float, _seconds("Median time to judge a candidate.")] = 0.0
    standup_s: Annotated[float, _seconds("Median time to prepare what a stand-up lays down.")] = 0.0
    spread: Annotated[float, _field(3.0, "Standard deviation of the logarithm of those times.")] = 0.0
    tokens: Annotated[int, msgspec.Meta(ge=0, le=10_000_000, description="Tokens of one decision.")] = 0
    usd_per_million_tokens: Annotated[float, _field(1000.0, "Price of a million tokens in US dollars.")] = 0.0


class Hardware(msgspec.Struct, frozen=True):
    """How devices differ, from each other and over time. A training keeps the speed that it began with."""

    devices_per_host: Annotated[int, msgspec.Meta(ge=1, le=1024, description="Devices that share a host.")] = 8
    slowdown: Annotated[
        float,
        _field(100.0, "Factor on every training's duration against the machine the trainer was recorded on.", 0.01),
    ] = 1.0
    device_spread: Annotated[float, _field(1.0, "Standard deviation of the log speed between devices.")] = 0.0
    host_spread: Annotated[float, _field(1.0, "Standard deviation of the log speed between hosts.")] = 0.0
    drift_spread: Annotated[
        float, _field(1.0, "Standard deviation of a host's log speed over time (Ornstein-Uhlenbeck process).")
    ] = 0.0
    drift_hours: Annotated[float, _field(1000.0, "Time after which a host's drift is forgotten.", 1e-4)] = 1.0
    contention: Annotated[
        float, _field(1.0, "Slowdown of a training for each other busy device of its host at its start.")
    ] = 0.0
    duration_spread: Annotated[
        float, _field(1.0, "Standard deviation of the log duration of equal trainings on one device.")
    ] = 0.0
    straggler_chance: Annotated[float, _chance("Chance that a training is a straggler.")] = 0.0
    straggler_factor: Annotated[float, _field(100.0, "How much longer a straggler takes.", 1.0)] = 3.0
    throttles_per_hour: Annotated[float, _field(60.0, "How often a device begins to throttle.")] = 0.0
    throttle_s: Annotated[float, _field(_LONG, "Mean length of a throttled stretch.", 1e-3)] = 600.0
    throttle_factor: Annotated[float, _field(100.0, "How much longer trainings take on a throttled device.", 1.0)] = 1.3


class Faults(msgspec.Struct, frozen=True):
    """What goes wrong, until ``until_s``."""

    crash_chance: Annotated[float, _chance("Chance that a training crashes by no fault of its own.")] = 0.0
    oom_chance: Annotated[float, _chance("Chance that a training runs out of memory by no fault of its own.")] = 0.0
    deaths_per_hour: Annotated[float, _field(3600.0, "How often a device's process dies.")] = 0.0
    restart_s: Annotated[float, _seconds("Until the process of a device is back.")] = 0.0
    preemptions_per_hour: Annotated[float, _field(3600.0, "How often a device is taken away.")] = 0.0
    preempted_s: Annotated[float, _seconds("Mean time for which it is away.")] = 60.0
    ghost_chance: Annotated[float, _chance("Chance that a training whose device died reports all the same.")] = 0.0
    role_death_chance: Annotated[float, _chance("Chance that a member dies over a question.")] = 0.0
    role_restart_s: Annotated[float, _seconds("Until its death is noticed and a new one is there.")] = 0.0
    controller_deaths_per_hour: Annotated[float, _field(3600.0, "How often the controller dies.")] = 0.0
    controller_restart_s: Annotated[float, _seconds("Until a new controller has replayed the journal.")] = 0.0
    loss_chance: Annotated[float, _chance("Chance that a message is lost, each time it is sent.")] = 0.0
    resend_s: Annotated[float, _seconds("After which a lost message is sent again.")] = 1.0
    duplicate_chance: Annotated[float, _chance("Chance that a message arrives a second time, later.")] = 0.0
    until_s: Annotated[float, _field(1e12, "Virtual time after which nothing goes wrong any more.")] = 1e12


class Cluster(msgspec.Struct, frozen=True):
    """One simulated cluster. ``name`` and ``description`` are for people."""

    name: str = "ideal"
    description: str = "No delays, no differences, no faults."
    delays: Delays = Delays()
    thinking: Thinking = Thinking()
    hardware: Hardware = Hardware()
    faults: Faults = Faults()


IDEAL = Cluster()
"""The perfect cluster: what an organization's own rules cost, and nothing else."""
