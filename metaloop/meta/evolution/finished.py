"""What an org run in a folder came to, as an evolution counts it."""

from __future__ import annotations

import math

from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, OrgRunFolder, read_lines
from metaloop.meta.audit import audit
from metaloop.meta.confirmed import Scores, root_commit, trunk_merges
from metaloop.meta.evolution.terms import Measured, Request
from metaloop.meta.thinking import charged


def measured_folder(folder: OrgRunFolder, request: Request, digest: str, split: str, *, real: bool) -> Measured:
    """An org run that has ended and was confirmed; ``real`` as :class:`Measured` has it."""
    events = journal.read(folder.journal)
    confirmations = read_lines(folder.confirmations, Confirmation)
    merges = trunk_merges(events)
    first = root_commit(merges, Scores(confirmations)) or ""
    last = merges[-1].commit if merges else first
    count, thought = audit(events), charged(events, folder.transcripts)
    return Measured(
        stage=request.stage,
        name=request.name,
        seed=request.seed,
        digest=digest,
        score=_gain(confirmations, first, last, split),
        gpu_hours=count.allocated_s / 3600,
        harness_gpu_hours=math.fsum(c.seconds for c in confirmations) / 3600 if real else 0.0,
        tokens=thought.tokens,
        usd=thought.usd,
        real=real,
    )


def _gain(confirmations: list[Confirmation], first: str, last: str, split: str) -> float | None:
    """Baseline minus trunk (bpb), mean over the pairs; ``None`` if trunk failed on one of them, as simulated."""
    if first == last:
        return 0.0
    scores = {(c.commit, c.pair): c.bpb.get(split) for c in confirmations}
    pairs = sorted(pair for commit, pair in scores if commit == first and scores[first, pair] is not None)
    ends = [(scores[first, pair], scores.get((last, pair))) for pair in pairs]
    gains = [baseline - trunk for baseline, trunk in ends if baseline is not None and trunk is not None]
    return math.fsum(gains) / len(gains) if gains and len(gains) == len(ends) else None
