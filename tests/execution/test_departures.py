"""Who is on a node that will go, as Ray tells it: asked every few seconds, and told once."""

from __future__ import annotations

from types import SimpleNamespace

from metaloop.execution.ray_nodes import LOOK_S, NO_MOVES, Departures


class CannotSayError(Exception):
    """Ray's head does not answer."""


class Cluster:
    """Ray, as far as departures ask it."""

    def __init__(self) -> None:
        self.going: dict[str, int] = {}
        self.nodes = {"cpu-0": "a", "cpu-1": "a", "cpu-2": "b"}
        self.asked = 0
        self.silent = False
        worker = SimpleNamespace(global_worker=SimpleNamespace(gcs_client=self))
        self._private = SimpleNamespace(worker=worker)
        self.exceptions = SimpleNamespace(RayError=CannotSayError)

    def get_draining_nodes(self, timeout: float) -> dict[str, int]:
        self.asked += 1
        if self.silent:
            raise CannotSayError
        return self.going


def test_who_leaves_is_told_once_and_who_is_back_too() -> None:
    cluster = Cluster()
    departures = Departures(cluster, lambda: cluster.nodes)
    assert departures.look(0.0, ()) == NO_MOVES
    cluster.going = {"a": 1}
    assert departures.look(LOOK_S / 2, ()) == NO_MOVES, "asked too often"
    assert cluster.asked == 1
    assert departures.look(LOOK_S, ("cpu-1",)) == (("cpu-0", "cpu-1"), ())
    assert departures.look(2 * LOOK_S, ("cpu-1",)) == NO_MOVES
    assert departures.idle_since == {"cpu-0": LOOK_S, "cpu-1": 2 * LOOK_S}
    cluster.nodes["cpu-1"] = "c"
    assert departures.look(3 * LOOK_S, ()) == ((), ("cpu-1",))
    cluster.going = {}
    assert departures.look(4 * LOOK_S, ()) == ((), ("cpu-0",))
    assert departures.idle_since == {}


def test_while_nobody_can_say_what_is_known_stays() -> None:
    cluster = Cluster()
    cluster.going = {"b": 1}
    departures = Departures(cluster, lambda: cluster.nodes)
    assert departures.look(0.0, ()).leaving == ("cpu-2",)
    cluster.silent = True
    assert departures.look(LOOK_S, ()) == NO_MOVES
    assert list(departures.idle_since) == ["cpu-2"]
