"""The trainer seam: what an experiment costs and scores.

A target is described to metaloop by a :class:`Target` (cheap, in the driver) and trained by a :class:`Trainer`
(in a device's own process). A second target is a second entry in :data:`TARGETS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Knob, Space
from metaloop.vocabulary.text import nearest


class TrainerSpec(msgspec.Struct, frozen=True):
    """Names a trainer so that any process can make it: the kind, the preset, the data.

    ``pace``: real seconds that a simulated trainer takes for each second it claims, where real processes host it.
    ``devices`` share each training.
    """

    trainer: str
    preset: str
    data: str
    pace: float = 1.0
    devices: int = 1


class Target(msgspec.Struct, frozen=True):
    """What metaloop knows of a target without training it.

    ``identity`` goes into every journal (preset, data hash, versions); ``files`` are what an org run's repository
    starts with, beside its knobs; ``longest_s`` is the device time after which a training counts as hung.
    """

    spec: TrainerSpec
    knobs: tuple[Knob, ...]
    identity: dict[str, str]
    files: dict[str, str]
    longest_s: float
    editable: tuple[str, ...] = ()
    """Those of ``files`` that experiments may change."""

    @property
    def space(self) -> Space:
        return Space(self.knobs)

    @property
    def editable_texts(self) -> dict[str, str]:
        """The files that experiments may change, as the target has them, by path."""
        return {path: self.files[path] for path in self.editable}

    @property
    def devices_per_experiment(self) -> int:
        """Devices that share each training."""
        return self.spec.devices


class Trainer(Protocol):
    """Trains on one device, or on a group of them, in its own process, one request after the other.

    A configuration that diverges, runs out of memory or crashes is a result, never an exception.
    """

    def train(self, request: TrainingRequest) -> TrainingResult:
        """One training, start to end; where ``request.code`` holds files, with those in place of the target's own,
        sandboxed and scored from outside."""
        ...


class SimulatedTrainer(Trainer, Protocol):
    """A trainer that says what a training would have come to, in no time of its own: what the simulator hosts.

    The same request gives the same result, whatever was asked before. ``train`` is ``simulate`` at speed 1.
    """

    def simulate(self, request: TrainingRequest, speed: float) -> TrainingResult:
        """The result on a device of ``speed`` times the nominal one, its ``seconds`` and curve in virtual time.

        A target whose budget is counted in seconds gets a worse score on a slow device, any other a later one.
        """
        ...


TARGETS: Mapping[str, str] = MappingProxyType(
    {
        "nanogpt": "metaloop.execution.nanogpt_trainer",
        "h100-5min": "metaloop.execution.h100_world",
        "surrogate": "metaloop.execution.surrogate.trainer",
    }
)
"""Trainer names and the module that has ``describe(spec) -> Target`` and ``make(spec, gpu) -> Trainer``."""


def _module(spec: TrainerSpec) -> object:
    if spec.trainer not in TARGETS:
        known = ", ".join(TARGETS)
        raise TrainerError(f"unknown trainer {spec.trainer!r}{nearest(spec.trainer, TARGETS)}. Known: {known}.")
    return importlib.import_module(TARGETS[spec.trainer])


def describe(spec: TrainerSpec) -> Target:
    """The target's description.

    Raises:
        TrainerError: unknown trainer, preset or data.
    """
    target: Target = _module(spec).describe(spec)  # type: ignore[attr-defined]
    return target


def make(spec: TrainerSpec, gpu: bool) -> Trainer:
    """A trainer for the devices of this process: ``spec.devices`` GPUs where ``gpu`` says so, CPU cores elsewhere.

    Raises:
        TrainerError: several devices are to share a simulated training.
    """
    trainer: Trainer = _module(spec).make(spec, gpu)  # type: ignore[attr-defined]
    if spec.devices > 1 and hasattr(trainer, "simulate"):
        raise TrainerError(f"{spec.trainer} is simulated, on one device, got {spec.devices}. Ask for 1 to a training.")
    return trainer


def make_simulated(spec: TrainerSpec) -> SimulatedTrainer:
    """A simulated trainer.

    Raises:
        TrainerError: the trainer trains for real.
    """
    trainer = make(spec, gpu=False)
    if not hasattr(trainer, "simulate"):
        raise TrainerError(f"{spec.trainer} trains for real: the simulator cannot host it.")
    return trainer  # type: ignore[return-value]
