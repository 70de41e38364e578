"""One training from request to result: `python -m nanogpt.train --preset cpu-tiny --set matrix_lr=0.02`.

`train` is a plain function that may be called any number of times in one process. It keeps no state and touches
no global random numbers: the same request gives bitwise the same curve on the CPU (for one number of threads,
which is the caller's to set). Whatever a configuration does ends in a state of the result, never in an exception.
"""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from nanogpt.feed import TrainingWindows, to_device
from nanogpt.knobs import Config, resolve
from nanogpt.memory import out_of_memory, peak_bytes
from nanogpt.model import GPT
from nanogpt.optim import Optimizer
from nanogpt.prepare import Corpus, bits_per_byte, evaluation_batches, evaluation_windows
from nanogpt.presets import Preset, flops_per_token, preset, shape_of
from nanogpt.ranks import Alone, Ranks, RanksLost
from nanogpt.results import CurvePoint, Ended, StopRule, TrainRequest, TrainResult, validate
from nanogpt.schedule import lr_factor

__all__ = ["CurvePoint", "StopRule", "TrainRequest", "TrainResult", "fit", "train"]

CURVE_FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)
EXPLODED = 2.0  # a loss this many times the larger of ln(vocabulary) and the first loss does not come back
CUDA_CHECK_STEPS = 10  # reading a loss from the GPU waits for it, so only every so often


class _Training:
    """The mutable middle of one training: model, optimizer, data stream and counters."""

    def __init__(self, request: TrainRequest, corpus: Corpus, device: torch.device, ranks: Ranks) -> None:
        self.started, self.cpu_started = time.perf_counter(), time.process_time()
        self.request, self.corpus, self.device, self.ranks = request, corpus, device, ranks
        self.config: Config = resolve(request.knobs)
        self.preset: Preset = preset(request.preset)
        self.shape = shape_of(self.config, self.preset, corpus.vocab)
        self.startup_seconds = 0.0
        self.step = 0
        self.parameters = 0
        self.flops_per_step = 0.0
        self.curve: list[CurvePoint] = []

    def build(self) -> None:
        """Allocate and initialize everything; compile on CUDA."""
        generator = torch.Generator().manual_seed(self.request.seed)
        self.model = GPT(self.shape, self.config)
        self.model.initialize(generator)
        self.model.to(self.device)
        self.optimizer = Optimizer(self.model, self.shape, self.config)
        self.parameters = self.optimizer.flat.numel()
        self.tokens_per_step = self.shape.batch * self.shape.sequence
        self.flops_per_step = (
            self.tokens_per_step * flops_per_token(self.shape, self.config) + self.optimizer.flops_per_step()
        )
        self.windows = TrainingWindows(self.corpus, self.shape.sequence, self.request.seed, self.device)
        on_cuda = self.device.type == "cuda"
        self.loss_of: Callable[..., tuple[Tensor, Tensor]] = self.model
        if on_cuda:
            # A warm process would otherwise keep every earlier model alive and, after eight, stop compiling.
            torch.compiler.reset()
            self.loss_of = torch.compile(self.model, dynamic=False)
        self.startup_seconds = self.elapsed()

    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 matrix products on CUDA over float32 weights; plain float32 elsewhere."""
        on_cuda = self.device.type == "cuda"
        return torch.autocast("cuda", dtype=torch.bfloat16) if on_cuda else nullcontext()

    def total_steps(self) -> float:
        """Steps in the budget; infinite for a budget of seconds."""
        budget = self.preset.budget
        amount = budget.amount * self.request.budget_fraction
        per_step = {"steps": 1, "tokens": self.tokens_per_step, "flops": self.flops_per_step}
        return max(1, round(amount / per_step[budget.kind])) if budget.kind in per_step else math.inf

    def forward_backward(self) -> Tensor:
        """Accumulate the gradient of this rank's rows of one batch; returns their part of its mean cross-entropy in
        nats. All ranks' parts add up to the batch's."""
        batch, micro = self.shape.batch, min(self.shape.batch, self.preset.micro_batch)
        mine = self.ranks.share(batch)
        total = torch.zeros((), device=self.device)
        self.windows.skip(mine.start)
        for start in range(mine.start, mine.stop, micro):
            rows = min(micro, mine.stop - start)
            pieces = batch / rows
            tokens, targets = self.windows.next(rows)
            with self.autocast():
                loss, cross_entropy = self.loss_of(tokens, targets)
            (loss if pieces == 1 else loss / pieces).backward()  # type: ignore[no-untyped-call]
            total += cross_entropy / pieces
        self.windows.skip(batch - mine.stop)
        return total


@torch.inference_mode()
def evaluate(run: _Training, split: str, count: int) -> float:
    """Bits per byte of the run's model on the first `count` evaluation windows of `split`."""
    windows = evaluation_windows(run.corpus.splits[split], run.shape.sequence, count)
    nats = torch.zeros((), dtype=torch.float64, device=run.device)
    scored = 0
    for rows in evaluation_batches(windows, run.shape.vocab):
        tokens, targets = to_device(rows, run.device)
        sizes = run.corpus.token_bytes[rows[:, 1:]]
        with run.autocast():
            losses = run.model.nats(tokens, targets)
        has_text = torch.from_numpy(sizes > 0).to(run.device)
        nats += (losses * has_text).sum(dtype=torch.float64)
        scored += int(sizes.sum())
    return bits_per_byte(nats.item(), scored)


def _points(run: _Training) -> Generator[CurvePoint, None, None]:
    """Train to the end of the budget, yielding each point of the curve. Raises Ended."""
    for fraction, train_loss in _steps(run):
        point = _point(run, fraction, train_loss)
        yield point
        _judge(run, point)


def _steps(run: _Training) -> Iterator[tuple[float, float]]:
    """Train to the end of the budget without any evaluation; yields, where a point of the curve is due, the share of
    the budget and the mean training loss since the last. Raises Ended."""
    run.build()
    total = run.total_steps()
    seconds = run.preset.budget.amount * run.request.budget_fraction
    due = list(CURVE_FRACTIONS)
    losses = torch.zeros((), device=run.device)
    since, trained_from, fraction, limit = 0, 0.0, 0.0, math.inf
    while fraction < 1:
        loss = run.ranks.sum(run.optimizer.summed, run.forward_backward())
        run.optimizer.step(lr_factor(run.config, fraction), run.config.grad_clip)
        run.step += 1
        losses, since = losses + loss, since + 1
        if run.step == 1:
            trained_from = _after_first_step(run)
        if run.ranks.leads and (run.device.type != "cuda" or run.step % CUDA_CHECK_STEPS == 0):
            limit = _check(run, loss.item(), limit)
        spent = min(1.0, (run.elapsed() - trained_from) / seconds)
        fraction = run.step / total if total < math.inf else run.ranks.follow(spent)
        if fraction >= 1:
            run.ranks.finish()
        if fraction >= due[0]:
            due = [point for point in due if point > fraction]
            mean = losses.item() / since
            losses, since = torch.zeros_like(losses), 0
            yield fraction, mean


def _after_first_step(run: _Training) -> float:
    """Seconds until now; on CUDA, where the first step compiles, all of them are start-up."""
    if run.device.type == "cuda":
        torch.cuda.synchronize()
        run.startup_seconds = run.elapsed()
    return run.elapsed()


def _check(run: _Training, loss: float, limit: float) -> float:
    """Raise Ended for a lost training or a spent time limit; returns the loss that counts as exploded."""
    if limit == math.inf:
        limit = EXPLODED * max(loss, math.log(run.shape.vocab))
    if not loss <= limit:  # true for NaN as well
        raise Ended("diverged", f"training loss {loss:.4g} at step {run.step}")
    allowed = run.request.time_limit_s
    if allowed is not None and run.elapsed() > allowed:
        raise Ended("timeout", f"over {allowed:g} s at step {run.step}")
    return limit


def _point(run: _Training, fraction: float, train_loss: float) -> CurvePoint:
    bpb = evaluate(run, "val", run.preset.curve_windows)
    point = CurvePoint(
        fraction=fraction, step=run.step, tokens=run.step * run.tokens_per_step,
        flops=run.step * run.flops_per_step, seconds=run.elapsed(), train_loss=train_loss, val_bpb=bpb,
    )  # fmt: skip
    if not math.isfinite(bpb):
        raise Ended("diverged", f"validation loss is {bpb} at step {run.step}")
    run.curve.append(point)
    return point


def _judge(run: _Training, point: CurvePoint) -> None:
    """Apply the stop rule at the one point it names."""
    rule = run.request.stop
    if rule is None or point.fraction >= 1 or point.fraction < rule.fraction:
        return
    if any(rule.fraction <= earlier.fraction for earlier in run.curve[:-1]):
        return
    if point.val_bpb > rule.bpb_at_most:
        raise Ended("stopped", f"val bpb {point.val_bpb:.4f} above {rule.bpb_at_most:.4f} at {point.fraction:.3f}")


def _scores(run: _Training) -> dict[str, float]:
    bpb = {split: evaluate(run, split, run.preset.final_windows) for split in run.request.score_on}
    uniform = math.log2(run.shape.vocab) / max(1.0, float(run.corpus.token_bytes.mean()))
    if not all(score <= uniform for score in bpb.values()):
        raise Ended("diverged", f"ended at {max(bpb.values()):.4g} bpb, no better than guessing evenly")
    return bpb


def _result(run: _Training, state: str, message: str = "", bpb: Mapping[str, float] | None = None) -> TrainResult:
    tokens = run.shape.batch * run.shape.sequence
    return TrainResult(
        state=state, bpb=bpb or {}, curve=tuple(run.curve), seconds=run.elapsed(),
        cpu_seconds=time.process_time() - run.cpu_started,
        startup_seconds=run.startup_seconds, steps=run.step, tokens=run.step * tokens,
        flops=run.step * run.flops_per_step, parameters=run.parameters, peak_bytes=peak_bytes(run.device),
        message=message,
    )  # fmt: skip


def _failure(run: _Training, error: Exception) -> TrainResult:
    """What a training that raised `error` comes to; the other ranks are told. Raises RanksLost."""
    if isinstance(error, RanksLost):
        raise error
    if isinstance(error, Ended):
        state, message = error.state, error.message
    else:
        state = "oom" if out_of_memory(error) else "crash"
        message = traceback.format_exception_only(error)[-1].strip()
    run.ranks.leave(state, message)
    return _result(run, state, message)


def _begin(request: TrainRequest, corpus: Corpus, device: str, ranks: Ranks) -> _Training:
    validate(request)
    run = _Training(request, corpus, torch.device(device), ranks)
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    return run


def fit(
    request: TrainRequest, corpus: Corpus, device: str = "cpu", ranks: Ranks | None = None
) -> tuple[TrainResult, GPT | None]:
    """One training without any evaluation, for whoever scores the model elsewhere, and for all ranks but the first:
    the result without curve and score, and the trained model where its state is "ok".

    `corpus` needs no split but train; `score_on` and `stop` of the request are ignored. The weights are bitwise those
    that `train` scores. Raises what `train` raises.
    """
    run = _begin(request, corpus, device, ranks or Alone())
    try:
        for _ in _steps(run):
            pass
    except Exception as error:
        return _failure(run, error), None
    return _result(run, "ok"), run.model


def train(
    request: TrainRequest, corpus: Corpus, device: str = "cpu",
    on_progress: Callable[[CurvePoint], None] | None = None, ranks: Ranks | None = None,
) -> TrainResult:  # fmt: skip
    """Run one training, alone or as the first of `ranks`; the others `fit` the same request at the same time.
    `on_progress` gets every point of the curve as it is reached.

    Raises KnobError, PresetError or ValueError only for a request that is not valid (and whatever `on_progress`
    raises, and RanksLost if another rank dies); what a valid configuration does, running out of memory included,
    becomes the result's state.
    """
    run = _begin(request, corpus, device, ranks or Alone())
    points = _points(run)
    try:
        while True:
            try:
                point = next(points, None)
                if point is None:
                    return _result(run, "ok", bpb=_scores(run))
            except Exception as error:
                return _failure(run, error)
            if on_progress is not None:
                on_progress(point)
    finally:
        points.close()
        run.ranks.leave("crash", "the first rank was interrupted")


if __name__ == "__main__":
    from nanogpt.cli import main

    sys.exit(main())
