"""What every peer promises its driver. Peers whose packages are elsewhere are skipped here."""

from __future__ import annotations

import importlib.util

import pytest

from bench.peers.catalogue import PEERS, make_peer
from bench.peers.protocol import FULL, Peer, Start, Verdict
from metaloop.execution.nanogpt_trainer import knobs
from metaloop.vocabulary.space import Space

SPACE = Space(knobs())
WHERE_PEERS_ARE = importlib.util.find_spec("smac") is not None
"""Ray's peers are tried there only: elsewhere its tuner's own dependencies are missing."""
HERE = [name for name, entry in PEERS.items() if WHERE_PEERS_ARE or entry.packages == ("optuna",)]


@pytest.fixture(params=HERE)
def peer(request: pytest.FixtureRequest) -> Peer:
    return make_peer(request.param, SPACE, 3, 20)


def test_the_baseline_is_among_the_first(peer: Peer) -> None:
    """SMAC puts it behind the rest of its initial design, which is a quarter of the 20 trainings that it was promised,
    or of twice as many with budgets."""
    starts = [peer.next() for _ in range(11)]
    assert SPACE.defaults() in [SPACE.validate(start.config) for start in starts if isinstance(start, Start)]


def test_configurations_are_whole_valid_and_different(peer: Peer) -> None:
    seen = []
    for place in range(6):
        start = peer.next()
        assert isinstance(start, Start)
        assert SPACE.validate(start.config) == start.config
        assert start.config.keys() == SPACE.defaults().keys()
        seen.append(start.config)
        peer.end(start.trial, 3.0 - 0.1 * place if place != 2 else None)
    assert all(config not in seen[:place] for place, config in enumerate(seen))


def test_a_hopeless_training_is_not_finished_by_those_that_look_at_curves(
    peer: Peer, request: pytest.FixtureRequest
) -> None:
    ended_early = 0
    for place in range(12):
        order = peer.next()
        if not isinstance(order, Start):
            continue
        for resource in (1, 2, 4, 6):
            if peer.report(order.trial, resource, 3.0 + 0.1 * place - 0.1 * resource) is not Verdict.GO:
                ended_early += 1
                break
        else:
            peer.end(order.trial, 3.0 + 0.1 * place - 0.1 * FULL)
    looks = PEERS[request.node.callspec.params["peer"]].looks_at_curves
    assert (ended_early > 0) == looks
