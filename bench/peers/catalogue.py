"""The peers by name. Each is imported when it is asked for, so that one that is not installed costs only itself."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from bench.peers.protocol import Peer
from metaloop.vocabulary.seeds import derive
from metaloop.vocabulary.space import Space


class Entry(NamedTuple):
    """Where a peer is made, and the packages that it needs."""

    module: str
    make: str
    packages: tuple[str, ...]
    looks_at_curves: bool = False
    """Whether it ends trainings early."""
    needs_length: bool = False
    """Whether it must be told about how many trainings the budget pays for."""


_OPTUNA, _RAY, _SMAC = ("bench.peers." + name for name in ("optuna_peers", "ray_peers", "smac_peers"))

PEERS: Mapping[str, Entry] = MappingProxyType(
    {
        "random": Entry(_OPTUNA, "random_search", ("optuna",)),
        "optuna-tpe": Entry(_OPTUNA, "tpe", ("optuna",)),
        "optuna-tpe-multivariate": Entry(_OPTUNA, "tpe_multivariate", ("optuna",)),
        "optuna-tpe-asha": Entry(_OPTUNA, "tpe_asha", ("optuna",), looks_at_curves=True),
        "optuna-tpe-hyperband": Entry(_OPTUNA, "tpe_hyperband", ("optuna",), looks_at_curves=True),
        "ray-asha": Entry(_RAY, "asha", ("ray",), looks_at_curves=True),
        "ray-optuna-asha": Entry(_RAY, "optuna_asha", ("ray", "optuna"), looks_at_curves=True),
        "ray-bohb": Entry(_RAY, "bohb", ("ray", "hpbandster"), looks_at_curves=True),
        "smac": Entry(_SMAC, "hpo", ("smac",), needs_length=True),
        "smac-multi-fidelity": Entry(_SMAC, "multi_fidelity", ("smac",), looks_at_curves=True, needs_length=True),
    }
)


def make_peer(name: str, space: Space, seed: int, trainings: int) -> Peer:
    """The peer ``name`` for the run ``seed``, whose budget pays for about ``trainings`` baseline trainings."""
    entry = PEERS[name]
    make = getattr(importlib.import_module(entry.module), entry.make)
    own = derive(seed, "peer", name) % 2**32
    peer: Peer = make(space, own, trainings) if entry.needs_length else make(space, own)
    return peer
