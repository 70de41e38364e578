"""Work goes to devices in the order of their reservation, past those that train or are down."""

from __future__ import annotations

from metaloop.actors.devices import Devices
from metaloop.actors.messages import DeviceLost, DeviceReady
from metaloop.actors.state import OrgState


def world(count: int = 4) -> tuple[OrgState, Devices]:
    state = OrgState()
    for rank, device in enumerate(f"d{9 - i}" for i in range(count)):
        state.ranks[device] = rank
        state.idle.add(device)
    devices = Devices(state)
    devices.offer_idle()
    return state, devices


def test_the_first_reserved_is_the_first_to_train() -> None:
    state, devices = world()
    taken = []
    while (device := devices.next_free()) is not None:
        taken.append(device)
        state.idle.remove(device)
    assert taken == ["d9", "d8", "d7", "d6"]
    state.idle.update(("d6", "d8"))
    devices.offer("d6")
    devices.offer("d8")
    devices.offer("d8")
    assert devices.next_free() == "d8"


def test_a_device_that_is_down_waits_for_its_return() -> None:
    _state, devices = world()
    assert devices.lost(DeviceLost("d9", "killed"))
    assert (devices.next_free(), devices.free()) == ("d8", 3)
    assert devices.ready(DeviceReady("d9"))
    assert (devices.next_free(), devices.free()) == ("d9", 4)
