"""What several devices to a training do not go together with; checked before anything starts."""

from __future__ import annotations

from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.organization import Organization


def check_group(devices: int, together: int, per_gpu: int, simulated: str) -> None:
    """``devices`` in groups of ``together`` that share a training, ``per_gpu`` devices to a GPU; ``simulated`` is the
    trainer's name if it is a simulated one, and empty otherwise.

    Raises:
        UsageError
    """
    if together == 1:
        return
    asked = f"--devices-per-experiment {together}"
    if simulated:
        raise UsageError(
            f"{asked} needs real trainings, got {simulated}, which was recorded on one device. Choose --backend ray "
            "--trainer nanogpt, or drop it."
        )
    if per_gpu > 1:
        raise UsageError(
            f"{asked} gives a training several GPUs, and --devices-per-gpu {per_gpu} a part of one. Drop one of them."
        )
    if devices % together:
        above = (devices // together + 1) * together
        below = f"{devices // together * together} or " if devices > together else ""
        raise UsageError(
            f"--devices {devices} cannot be parted into groups of {together} ({asked}), expected a multiple. Ask for "
            f"{below}{above}."
        )


def check_edits(organization: Organization, together: int) -> None:
    """Nobody changes code where a training has several devices.

    Raises:
        UsageError
    """
    editors = [member.name for member in organization.members if member.edits and member.brain != "scripted"]
    if together > 1 and editors:
        raise UsageError(
            f"{organization.name}: {editors[0]} changes source code, and changed code is trained on one device, got "
            f"--devices-per-experiment {together}. Drop it, or take the tool Edit from the role."
        )


def check_alone(together: int) -> None:
    """What a simulated training is compared with, or learns from, has one device as well.

    Raises:
        UsageError
    """
    if together > 1:
        raise UsageError(
            f"simulated trainings have one device each, and these real ones {together} (--devices-per-experiment): "
            "they neither compare nor teach. Drop it, or name a run without it."
        )
