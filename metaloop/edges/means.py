"""With what a command carries out a run or an evolution: where Ray is, where the folder is mirrored, what is told.

Apart from the terms, because it may be another each time the work is taken up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from metaloop.execution.ray_metrics import Meters


class Means(msgspec.Struct, frozen=True):
    """``address`` None: a Ray of its own. ``wait_s``: how long devices may take to be there. ``track``: show it to
    MLflow."""

    address: str | None
    wait_s: float
    as_json: bool
    track: bool
    mirror: str = ""
    """Where the folder is copied to while it grows; empty: nowhere, or where it was before."""


def meters_of(means: Means) -> Meters | None:
    """Who tells a cluster's Prometheus of org runs; a Ray of our own has none."""
    if means.address is None:
        return None
    from metaloop.execution.ray_metrics import Meters

    return Meters()


def settle(meters: Meters | None) -> None:
    """Let the last figures reach the cluster, if anybody tells it any; before Ray is left."""
    if meters is not None:
        meters.settle()


def means_of(options: Mapping[str, Any]) -> Means:
    """The means that the command's options come to. ``--mlflow`` goes where MLflow and its tracker look for it."""
    if options.get("mlflow"):
        os.environ["MLFLOW_TRACKING_URI"] = options["mlflow"]
    return Means(
        address=options["address"],
        wait_s=60.0 * options["wait_minutes"],
        as_json=options["as_json"],
        track=not options["no_mlflow"],
        mirror=options.get("mirror", ""),
    )
