"""What events do to the devices of an org run: held, idle, trying a canary, set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaloop.vocabulary import events as ev

if TYPE_CHECKING:
    from metaloop.actors.state import OrgState


def reserved(state: OrgState, event: ev.Reserved) -> None:
    state.ledger.reserve(event.device, event.t)
    state.ranks[event.device] = state.reservations
    state.reservations += 1
    state.idle.add(event.device)


def released(state: OrgState, event: ev.Released) -> None:
    state.ledger.release(event.device, event.t)
    leaves_idle(state, event.device)
    state.closing = True


def leaves_idle(state: OrgState, device: str) -> None:
    """The device is idle no more. A set that once held ten thousand is as slow to go through when it holds one, until
    it is cleared."""
    state.idle.discard(device)
    if not state.idle:
        state.idle.clear()


def frees(state: OrgState, device: str) -> None:
    """The device trains nothing any more; it may have been released by an interruption meanwhile."""
    state.running.pop(device, None)
    if device in state.ledger.held:
        state.idle.add(device)


def canary_started(state: OrgState, event: ev.CanaryStarted) -> None:
    state.canaries.count = event.number
    state.canaries.running[event.device] = (event.number, event.t)
    leaves_idle(state, event.device)


def canary_ended(state: OrgState, event: ev.CanaryEnded) -> None:
    book, device = state.canaries, event.device
    del book.running[device]
    book.last.pop(device, None)
    book.last[device] = (event.t, event.result)
    if not event.fault or device in book.doubtful:
        book.doubtful.pop(device, None)
    else:
        book.doubtful[device] = event.t
    if not event.fault:
        book.good.append(event.result)
        book.unproven[device] = []
    book.unproven.setdefault(device, [])
    frees(state, device)


def set_aside(state: OrgState, event: ev.SetAside) -> None:
    state.canaries.set_aside[event.device] = event.reason
    state.ledger.release(event.device, event.t)
    leaves_idle(state, event.device)


def equipped(state: OrgState, event: ev.Equipped) -> None:
    state.hardware |= event.hardware
