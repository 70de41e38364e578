"""Limits hold over processes: nobody is served too early, and nobody who died is waited for."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from metaloop.brains.model.chat import Message
from metaloop.brains.model.limits import WINDOW_S, Gate, Sent, open_chat, until_allowed
from metaloop.brains.registry import make_brain
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.models import ModelCard, ThinkingTerms
from tests.brains import worlds as w
from tests.brains.model.guesser import guesses
from tests.brains.model.server import Act, Handler, fails, hangs, says, serving
from tests.brains.objective import member

ROOT = Path(__file__).resolve().parents[3]
ASKED = (Message("user", "well?"),)
ASKER = """
import sys, msgspec
from pathlib import Path
from metaloop.brains.model.chat import Message
from metaloop.brains.model.limits import open_chat
from metaloop.vocabulary.models import ModelCard
chat = open_chat(msgspec.json.decode(sys.argv[1], type=ModelCard), sys.argv[2])
for _ in range(int(sys.argv[3])):
    print(chat.complete((Message("user", "well?"),), {}).text, flush=True)
"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def card(url: str = "http://x/v1", **fields: object) -> ModelCard:
    return ModelCard("big/one", **{"base_url": url, "timeout_s": 20.0, "attempts": 1, **fields})  # type: ignore[arg-type]


def asking(card: ModelCard, folder: Path, calls: int) -> subprocess.Popen[str]:
    """A process of its own that asks the model, and says what it was answered."""
    command = [sys.executable, "-c", ASKER, msgspec.json.encode(card).decode(), str(folder), str(calls)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)


class Crowd:
    """An act that counts who is being served at a time."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()
        self._never = threading.Event()

    def __call__(self, handler: Handler) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._never.wait(0.15)
        with self._lock:
            self._now -= 1
        says("yes")(handler)


@pytest.mark.parametrize(("at_once", "served"), [(2, 2), (0, 4)])
def test_processes_ask_no_more_at_once_than_the_card_says(tmp_path: Path, at_once: int, served: int) -> None:
    crowd = Crowd()
    with serving(crowd) as (url, desk):
        askers = [asking(card(url, at_once=at_once), tmp_path, 6) for _ in range(4)]
        assert [asker.communicate(timeout=60)[0].split() for asker in askers] == [["yes"] * 6] * 4
    assert len(desk.requests) == 24
    assert crowd.most <= served if at_once else crowd.most > 2
    assert crowd.most == served or not at_once


def test_who_is_killed_while_it_is_served_leaves_its_place(tmp_path: Path) -> None:
    limited = {"at_once": 1, "requests_per_minute": 100}
    with serving(hangs, says("yes")) as (url, desk):
        first = asking(card(url, **limited), tmp_path, 1)
        clock = WallClock()
        while not desk.requests and clock.now() < 60:
            clock.sleep(0.02)
        second = asking(card(url, **limited), tmp_path, 1)
        with pytest.raises(subprocess.TimeoutExpired):
            second.communicate(timeout=2)
        os.kill(first.pid, signal.SIGKILL)
        assert second.communicate(timeout=60)[0] == "yes\n"
        first.wait()


def test_who_is_killed_with_the_count_locked_leaves_it(tmp_path: Path) -> None:
    gate = Gate(card(requests_per_minute=5), tmp_path, Time())
    lock = next(tmp_path.iterdir()) / "sent.lock"
    code = "import sys, filelock; it = filelock.FileLock(sys.argv[1]); it.acquire(); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    admitted = threading.Thread(target=gate.admit, args=(1,), daemon=True)
    admitted.start()
    admitted.join(0.5)
    assert admitted.is_alive()
    holder.kill()
    admitted.join(10)
    assert not admitted.is_alive()
    holder.communicate()


class Time:
    """Virtual time: sleeping is what makes it pass."""

    def __init__(self) -> None:
        self._now = 1000.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self._now += seconds


@pytest.mark.parametrize("seed", range(4))
def test_no_minute_holds_more_than_the_card_allows(tmp_path: Path, seed: int) -> None:
    """Two gates on one folder, as two processes have them, over requests of every size that come at random."""
    rng, clock = random.Random(seed), Time()
    limits = card(requests_per_minute=7, tokens_per_minute=900)
    gates = [Gate(limits, tmp_path, clock), Gate(limits, tmp_path, clock)]
    sent: list[tuple[float, int]] = []
    for _ in range(60):
        expected = rng.randint(1, 400)
        gate = rng.choice(gates)
        key = gate.admit(expected)
        used = rng.randint(1, expected)
        gate.settle(key, used)
        sent.append((clock.now(), used))
        if rng.random() < 0.3:
            clock.sleep(rng.uniform(0.1, 20.0))
    windows = [[tokens for t, tokens in sent if start <= t < start + WINDOW_S - 1e-6] for start, _ in sent]
    assert max(map(len, windows)) <= 7
    assert max(map(sum, windows)) <= 900
    assert clock.now() - 1000.0 < 60 * 60, "the limits are used, not only kept"


def test_a_wait_is_as_long_as_it_must_be() -> None:
    limits = card(requests_per_minute=2, tokens_per_minute=100)
    sent = [Sent(0.0, 60, "a"), Sent(10.0, 30, "b")]
    assert until_allowed(limits, sent[:1], 40, 20.0) == 0.0
    assert until_allowed(limits, sent[:1], 41, 20.0) == pytest.approx(40.0)
    assert until_allowed(limits, sent, 10, 20.0) == pytest.approx(40.0), "two requests were sent"
    assert until_allowed(limits, sent, 80, 20.0) == pytest.approx(50.0), "both must be over"
    assert until_allowed(limits, [], 101, 20.0) == 0.0, "nobody waits for ever"


def test_every_attempt_counts(tmp_path: Path) -> None:
    acts: Sequence[Act] = (fails(503), says("yes", 30, 12))
    with serving(*acts) as (url, desk):
        open_chat(card(url, attempts=2, requests_per_minute=100), str(tmp_path)).complete(ASKED, {})
    (file,) = tmp_path.rglob("sent.json")
    failed, answered = msgspec.json.decode(file.read_bytes(), type=list[Sent])
    assert len(desk.requests) == 2
    assert answered.tokens == 42
    assert failed.tokens > 2048, "what it was charged for is not known"


def test_a_file_from_before_the_machine_was_started_anew_holds_nobody_up(tmp_path: Path) -> None:
    late = Time()
    late.sleep(1e6)
    limits = card(requests_per_minute=1)
    Gate(limits, tmp_path, late).admit(1)
    clock = Time()
    Gate(limits, tmp_path, clock).admit(1)
    assert clock.now() == 1000.0
    next(tmp_path.rglob("sent.json")).write_text("{torn")
    Gate(limits, tmp_path, clock).admit(1)


def test_models_do_not_share_limits(tmp_path: Path) -> None:
    for name in ("a/b", "a_b", "a/b" * 40):
        Gate(ModelCard(name, requests_per_minute=1), tmp_path, Time()).admit(1)
    assert len(list(itertools.chain(tmp_path.rglob("sent.json")))) == 3


def test_waiting_for_a_place_is_thinking(tmp_path: Path) -> None:
    with serving(guesses) as (url, _):
        limited = card(url, at_once=1)
        thinker = msgspec.structs.replace(member("proposer", "ann"), brain="big/one", prompt="You are careful.")
        brain = make_brain(thinker, w.SPACE, 7, (), ThinkingTerms((limited,), limits=str(tmp_path)))
        held, asked = threading.Event(), threading.Event()

        def hold() -> None:
            with Gate(limited, tmp_path, Time()).place():
                held.set()
                asked.wait(30)
                threading.Event().wait(0.7)

        threading.Thread(target=hold, daemon=True).start()
        assert held.wait(30)
        asked.set()
        assert brain.decide(w.propose()).cost.seconds > 0.5
