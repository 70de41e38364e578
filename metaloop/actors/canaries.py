"""Canaries: whether a device still is what it was, by a fixed short training that only the device can change.

A device is due before its first training and then every so often, whenever it would get work. Its canary is compared
with the latest ones of other devices. One that is off makes the device doubtful: the others then train theirs anew, and
only if its next one is off beside those is it set aside. So neither a passing disturbance nor a machine that slows down
as a whole takes a device out. The last device that is left stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from statistics import median

from metaloop.actors.messages import Train, Trained
from metaloop.actors.run_context import RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import CANARY_SEED, CanaryTerms
from metaloop.vocabulary.records import TRUNK, Experiment, TrainingResult

MOST_COMPARED = 32
"""Other devices that a canary is compared with: as many as a median needs, however many there are."""


class Canaries:
    """An org run's canaries, if it has any."""

    def __init__(self, run: RunContext, terms: CanaryTerms) -> None:
        self._run = run
        self._terms = terms
        self.wanted = terms.every_s > 0

    def due(self, device: str, now: float) -> bool:
        """Whether the device has to train the canary before anything else."""
        book = self._run.state.canaries
        last = book.last.get(device)
        if last is None or now - last[0] >= self._terms.every_s:
            return True
        if device in book.doubtful:
            return all(book.last[other][0] > last[0] for other in self._others(device))
        return any(since > last[0] for since in book.doubtful.values())

    def begin(self, device: str, now: float) -> None:
        """Have the device train the canary."""
        run = self._run
        number = run.state.canaries.count + 1
        run.record(ev.CanaryStarted(now, device, number))
        experiment = Experiment(_name(number), {}, CANARY_SEED, TRUNK, "canary", priority=0)
        run.out.append(Train(device, experiment, 1, self._terms.request))

    def take(self, message: Trained, now: float) -> bool:
        """What came of a canary; whether the message was about one that is under way."""
        number, _ = self._run.state.canaries.running.get(message.device, (0, 0.0))
        if message.experiment != _name(number):
            return False
        self._end(message.device, message.result, now)
        return True

    def lose(self, device: str, reason: str, now: float) -> bool:
        """The device's process died; whether it trained a canary."""
        running = self._run.state.canaries.running.get(device)
        if running is None:
            return False
        self._end(device, TrainingResult("crash", now - running[1], message=reason), now)
        return True

    def _end(self, device: str, result: TrainingResult, now: float) -> None:
        run, book = self._run, self._run.state.canaries
        number, _ = book.running[device]
        fault, doubtful = self._fault(device, result), device in book.doubtful
        run.record(ev.CanaryEnded(now, device, number, result, fault))
        if fault and doubtful and len(run.state.ledger.held) > 1:
            run.record(ev.SetAside(now, device, fault, tuple(book.unproven[device])))

    def _fault(self, device: str, result: TrainingResult) -> str:
        """What is wrong with a canary; empty where nothing is."""
        terms, book = self._terms, self._run.state.canaries
        if result.state != "ok":
            return f"its canary ended as {result.state}: {result.message or 'no reason given'}"
        latest = [book.last[other][1] for other in islice(self._others(device), MOST_COMPARED)]
        times = [time_of(last) for last in latest if last.state == "ok"] or [time_of(last) for last in book.good]
        if times and time_of(result) > terms.slower * median(times):
            return f"its canary took {time_of(result) / median(times):.2f} times as long as the others'"
        scores = [earlier.bpb["val"] for earlier in book.good]
        if scores and abs(result.bpb["val"] - median(scores)) > terms.off_bpb:
            return f"its canary scored {result.bpb['val']:.4f} bpb, the others {median(scores):.4f}"
        return ""

    def _others(self, device: str) -> Iterator[str]:
        """The other devices in use that have trained a canary, the latest first."""
        state = self._run.state
        return (other for other in reversed(state.canaries.last) if other != device and other in state.ledger.held)


def time_of(result: TrainingResult) -> float:
    """Seconds of training proper: between the first and the last point of the curve, so that starting up and compiling
    do not count; per token, where the target counts them (a budget in seconds always takes as long)."""
    curve = result.curve
    seconds = curve[-1].seconds - curve[0].seconds if len(curve) > 1 else result.seconds
    return seconds / result.tokens if result.tokens else seconds


def _name(number: int) -> str:
    return f"canary-{number}"
