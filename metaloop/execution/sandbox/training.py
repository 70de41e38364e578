"""A training of changed code, from request to result: train in one guest, score through two others, believe none.

What is not caught is a result like any other; what is caught has a named reason and no score.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import msgspec
import numpy as np
import safetensors

from metaloop.execution.sandbox import evaluation, fingerprints, frames
from metaloop.execution.sandbox.claims import false_claim
from metaloop.execution.sandbox.handle import Guest
from metaloop.execution.sandbox.host import Caught, Zygote, ZygoteDied
from metaloop.execution.sandbox.pace import Pace, allowance, hard_limit
from metaloop.execution.sandbox.records import MIB, Ended, Fitted, Hello, Limits, Task
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.code import knobs_of
from metaloop.vocabulary.records import FinalState, TrainingRequest, TrainingResult, canonical
from metaloop.vocabulary.space import Value
from nanogpt.knobs import resolve
from nanogpt.prepare import Corpus
from nanogpt.presets import preset, shape_of

SEED_AUDIT_FRACTION = 1e-6
"""Budget of the seed audit's trainings: one step each."""
LEAST_AUDIT_S = 3
"""Processor seconds that the seed audit may use, at least: room for honest work at import."""
MOST_WEIGHTS = 16
"""Bytes of weights allowed over those of 4-byte parameters at the largest knobs: room for another architecture."""
LEAST_WEIGHTS = 64 * MIB
Knobs = dict[str, Value]
STATES = frozenset({"ok", "diverged", "oom", "timeout", "crash", "cheat"})
FIT_LIMITS = {frames.RESULT: 16384}
MOST_AUDITED = 1024


@dataclass
class Measured:
    """What is known of one training so far: processor seconds of its guests, walls, counters, log."""

    cpu_s: float = 0.0
    hello: Hello | None = None
    said: Fitted = field(default_factory=lambda: Fitted("crash", "", 0, 0, 0.0))
    log: bytes = b""
    ratio: float = 0.0


class Sandbox:
    """Trains changed code of the nanoGPT target for one trainer. ``code`` of a request are whole texts by path."""

    def __init__(
        self, preset_name: str, corpus: Corpus, device: str, longest_s: float, editable: tuple[str, ...],
        limits: Limits,
    ) -> None:  # fmt: skip
        self._preset, self._corpus, self._device = preset_name, corpus, device
        self._longest_s, self._editable, self._limits = longest_s, editable, limits
        self._pace = Pace(preset_name, corpus, device)
        self.zygote = Zygote(gpu=device == "cuda")
        self._shard = shard_descriptor(corpus)
        self._audited: set[tuple[str, ...]] = set()
        self.log = b""
        """The end of what the last training printed."""

    def train(self, request: TrainingRequest) -> TrainingResult:
        """One training of ``request.code``. Its curve is empty and its stop rule is not heeded: whoever looks at a
        score before the end would need the model before the end. Raises KnobError."""
        clock = WallClock()
        own = resource.getrusage(resource.RUSAGE_SELF)
        measured = Measured()
        state, message, bpb = self._judged(request, measured)
        now = resource.getrusage(resource.RUSAGE_SELF)
        mine = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
        self.log = measured.log
        return TrainingResult(
            state=cast(FinalState, state), seconds=clock.now(), bpb=bpb, steps=measured.said.steps,
            tokens=measured.said.tokens, flops=measured.said.flops, message=message,
            cpu_seconds=measured.cpu_s + mine, hashes=self._hashes(request, measured),
        )  # fmt: skip

    def close(self) -> None:
        """End the zygote."""
        self.zygote.close()
        os.close(self._shard)

    def _judged(self, request: TrainingRequest, measured: Measured) -> tuple[str, str, dict[str, float]]:
        """State, message and scores; once more if the zygote died, which is not the code's fault."""
        for _ in range(2):
            try:
                return "ok", "", self._scored(request, measured)
            except Caught as caught:
                return caught.state, caught.reason, {}
            except ZygoteDied:
                continue
        return "crash", "sandbox: the process that guests are forked from died twice", {}

    def _scored(self, request: TrainingRequest, measured: Measured) -> dict[str, float]:
        """The scores of one training. Raises Caught, ZygoteDied."""
        for path in request.code:
            if path not in self._editable:
                raise Caught(f"evaluator: {path} is no editable file")
        knobs = knobs_of(request.config)
        self._audit_seeds(request, knobs, measured)
        weights = self._fit(request, knobs, measured)
        scores = self._evaluate(request, knobs, weights, measured)
        evaluation.check_scores(scores, self._corpus)
        claim = false_claim(measured.log, min(scores.values(), default=0.0))
        if claim:
            raise Caught(claim)
        return scores

    @contextlib.contextmanager
    def _guest(self, measured: Measured, cpu_s: int, scratch: bool, shard: bool) -> Iterator[Guest]:
        """A guest with its walls up; what it used is added to ``measured``, however it ends."""
        limits = msgspec.structs.replace(
            self._limits, cpu_s=cpu_s, scratch_bytes=self._limits.scratch_bytes if scratch else 0
        )
        with Guest(self.zygote, limits, self._longest_s / 2, self._shard if shard else None) as guest:
            try:
                measured.hello = guest.hello()
                yield guest
            finally:
                with contextlib.suppress(ZygoteDied):
                    measured.cpu_s += guest.end().cpu_s

    def _task(self, request: TrainingRequest, do: Literal["fit", "serve"]) -> Task:
        tokens = np.asarray(self._corpus.splits["train"])
        return Task(
            do=do, preset=self._preset, knobs=knobs_of(request.config), code=request.code, device=self._device,
            vocab=self._corpus.vocab, token_type=tokens.dtype.name, seeds=(request.seed,),
            budget_fraction=request.budget_fraction,
        )  # fmt: skip

    def _audit_seeds(self, request: TrainingRequest, knobs: Knobs, measured: Measured) -> None:
        """Three trainings of one step, on a shard of a single window, so that no order of data can differ: two seeds
        must give different weights, the same seed the same. Once for each change and configuration."""
        key = (canonical(knobs), *sorted(fingerprints.of_files(request.code).values()))
        if key in self._audited:
            return
        first, second = (secrets.randbits(31) for _ in range(2))
        sequence = preset(self._preset).sequence
        task = msgspec.structs.replace(
            self._task(request, "fit"), seeds=(first, second, first), budget_fraction=SEED_AUDIT_FRACTION,
            shard=sequence + 1,
        )  # fmt: skip
        found = []
        needs = len(task.seeds) * self._pace.needs(knobs, SEED_AUDIT_FRACTION)
        limit = max(LEAST_AUDIT_S, hard_limit(needs))
        with self._guest(measured, limit, scratch=True, shard=True) as guest:
            self._order(guest, task)
            for _ in range(3):
                said, weights = self._fitted(guest)
                if said.state != "ok":
                    raise Caught(said.message, said.state)
                found.append(weights)
        if found[0] == found[1]:
            raise Caught("seed: two seeds give the same weights")
        if found[0] != found[2] and self._device != "cuda":  # whose gradients need not repeat bitwise
            raise Caught("seed: the same seed gives different weights")
        if len(self._audited) >= MOST_AUDITED:
            self._audited.clear()
        self._audited.add(key)

    def _fit(self, request: TrainingRequest, knobs: Knobs, measured: Measured) -> bytes:
        """The weights that the changed code arrives at within the plain code's budget."""
        needs = self._pace.needs(knobs, request.budget_fraction)
        task = self._task(request, "fit")
        with self._guest(measured, hard_limit(needs), scratch=True, shard=True) as guest:
            try:
                self._order(guest, task)
                measured.said, weights = self._fitted(guest)
                ended = guest.finish()
            finally:
                with contextlib.suppress(ZygoteDied):
                    guest.end()
                measured.log = guest.log
        self._check_budget(guest, ended, request, knobs, measured)
        if measured.said.state != "ok":
            raise Caught(measured.said.message or "no reason given", measured.said.state)
        return weights

    def _check_budget(
        self, guest: Guest, ended: Ended, request: TrainingRequest, knobs: Knobs, measured: Measured
    ) -> None:
        """Compare what the guest used, from fork to end, with what the plain code needs."""
        used = guest.wall_s if self._device == "cuda" or self._in_seconds() else ended.cpu_s
        needs = self._pace.needs(knobs, request.budget_fraction)
        if used > allowance(needs):
            # The pace may stem from a quieter moment: the longer of the two counts.
            needs = max(needs, self._pace.needs(knobs, request.budget_fraction, afresh=True))
        measured.ratio = used / needs if needs else 0.0
        if used > allowance(needs):
            raise Caught(
                f"budget: used {used:.2f} s, the plain code needs {needs:.2f} s (allowed {allowance(needs):.2f} s)",
                "timeout",
            )

    def _in_seconds(self) -> bool:
        return preset(self._preset).budget.kind == "seconds"

    def _order(self, guest: Guest, task: Task) -> None:
        guest.send(frames.JOB, msgspec.json.encode(task))
        guest.send(frames.DATA, np.ascontiguousarray(self._corpus.token_bytes, dtype=np.int64).tobytes())

    def _fitted(self, guest: Guest) -> tuple[Fitted, bytes]:
        """The next training's word and weights. Raises Caught."""
        said = evaluation.decoded(guest.receive(FIT_LIMITS)[1], Fitted)
        if said.replaced:
            raise Caught(f"evaluator: replaced {', '.join(said.replaced[:3])}")
        if said.state not in STATES:
            raise Caught("frames: an unknown state")
        if said.state != "ok":
            prefix = "memory: " if said.state == "oom" else ""
            return msgspec.structs.replace(said, message=prefix + said.message), b""
        _, weights = guest.receive({frames.WEIGHTS: self._most_weights()})
        check_weights(weights)
        return said, weights

    def _most_weights(self) -> int:
        base = preset(self._preset)
        largest = 4 * base.width  # twice the width, and a hidden layer of eight times that
        return max(LEAST_WEIGHTS, MOST_WEIGHTS * 4 * (self._corpus.vocab * largest + 2 * base.depth * largest**2))

    def _evaluate(self, request: TrainingRequest, knobs: Knobs, weights: bytes, measured: Measured) -> dict[str, float]:
        """The harness's score of the weights. Raises Caught."""
        base = preset(self._preset)
        sequence = shape_of(resolve(knobs), base, self._corpus.vocab).sequence
        batches = evaluation.batches_of(self._corpus, request.score_on, sequence, base.final_windows)
        tolerance = evaluation.CUDA_TOLERANCE if self._device == "cuda" else 0.0
        limit = hard_limit(self._pace.needs(knobs, request.budget_fraction))
        task = msgspec.json.encode(self._task(request, "serve"))

        def serving(guest: Guest) -> None:
            guest.send(frames.JOB, task)
            guest.send(frames.WEIGHTS, weights)

        with self._guest(measured, limit, False, False) as one, self._guest(measured, limit, False, False) as other:
            for guest in (one, other):
                serving(guest)
            for guest in (one, other):
                evaluation.ready(guest)
            try:
                return evaluation.scores((one, other), batches, self._corpus, tolerance)
            except evaluation.Moved as moved:
                with self._guest(measured, limit, False, False) as third:
                    serving(third)
                    evaluation.ready(third)
                    raise moved.named(third, batches, self._corpus.vocab, tolerance) from None

    def _hashes(self, request: TrainingRequest, measured: Measured) -> dict[str, str]:
        found = {"data": self._corpus.manifest_hash, "evaluator": fingerprints.evaluator()}
        found |= fingerprints.of_files(request.code)
        if measured.hello is not None:
            found |= {"wall": measured.hello.wall, "files": measured.hello.files}
            found["filter"] = "seccomp" if measured.hello.filter else "none"
        if measured.ratio:
            found["compute"] = f"{measured.ratio:.2f}"
        return found


def check_weights(weights: bytes) -> None:
    """Raises Caught unless the bytes are tensors in the safetensors format, which holds numbers and nothing else."""
    try:
        safetensors.deserialize(weights)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError:
        what = "a pickle" if weights[:1] == b"\x80" or weights[:2] == b"PK" else "something else"
        raise Caught(f"weights: {what} in place of plain tensors") from None


def shard_descriptor(corpus: Corpus) -> int:
    """A descriptor of the train split's tokens, read only: the file itself, which cannot be left by it, or a copy in
    memory. The caller closes it."""
    tokens = corpus.splits["train"]
    path = getattr(tokens, "filename", None)
    if path is not None and Path(path).stat().st_size == tokens.nbytes:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with tempfile.NamedTemporaryFile() as file:
        file.write(np.ascontiguousarray(tokens).tobytes())
        file.flush()
        return os.open(file.name, os.O_RDONLY | os.O_CLOEXEC)
