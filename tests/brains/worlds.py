"""Small worlds for brains: observations by hand, and lives of several decisions."""

from __future__ import annotations

from collections.abc import Mapping

from metaloop.vocabulary.decisions import Observation
from metaloop.vocabulary.records import Candidate, Config, Head, Outcome, Proposal, effective
from metaloop.vocabulary.space import Knob, Space, Value

SPACE = Space(
    (
        Knob("lr", "optimizer", "float", 0.01, 0.0001, 1.0, True),
        Knob("beta", "optimizer", "float", 0.9, 0.5, 0.99),
        Knob("depth", "architecture", "int", 4, 1, 12),
        Knob("width", "architecture", "int", 64, 16, 256, True),
        Knob("tied", "architecture", "bool", True, choices=(False, True)),
        Knob("act", "architecture", "choice", "gelu", choices=("gelu", "relu2", "swiglu")),
        Knob("decay", "regularization", "float", 0.1, 0.0, 1.0),
    )
)
DEFAULTS = SPACE.defaults()
BASE_BPB = 2.0


def outcome(number: int, changes: Config, delta: float | None, base: Config | None = None, **other: object) -> Outcome:
    """A first training of ``changes`` on ``base``; ``delta`` None: it diverged."""
    fields: dict[str, object] = {
        "experiment": f"e{number}",
        "proposal": f"p{number}" if changes else None,
        "author": "someone" if changes else "",
        "team": "",
        "branch": "main",
        "purpose": "candidate" if changes else "incumbent",
        "changes": changes,
        "config": effective(base or {}, changes, DEFAULTS),
        "repeat": 0,
        "state": "ok" if delta is not None else "diverged",
        "bpb": None if delta is None else BASE_BPB + delta,
        "delta": delta if changes else None,
    }
    return Outcome(**{**fields, **other})  # type: ignore[arg-type]


BASELINE = outcome(0, {}, 0.0)


def head(config: Mapping[str, Value] | None = None, commit: str = "c0", bpb: float = BASE_BPB) -> Head:
    return Head("main", commit, dict(config or {}), {0: bpb}, 0)


def propose(index: int = 0, news: tuple[Outcome, ...] = (BASELINE,), **fields: object) -> Observation:
    """A proposer is asked; the head is the baseline unless said otherwise."""
    return Observation("propose", index, **{"head": head(), "budget_spent": 0.1, "news": news, **fields})  # type: ignore[arg-type]


def review(changes: Config, news: tuple[Outcome, ...] = (BASELINE,), predicted: float | None = None) -> Observation:
    """A reviewer is asked about ``changes`` on the baseline."""
    proposal = Proposal("p99", "someone", "main", "c0", changes, "because", predicted)
    config = effective({}, changes, DEFAULTS)
    return Observation("review", 0, head(), 0.1, news, pending=(config,), proposal=proposal, proposal_config=config)


def candidate(*deltas: float, number: int = 9, changes: Config | None = None, **fields: object) -> Candidate:
    """A candidate that differs from the head by ``deltas`` on repeats 0, 1, …; stale ones differ so from their base."""
    asked = changes or {"lr": 0.02}
    purpose = fields.pop("purpose", "candidate")
    parts = fields.pop("parts", ())
    proposal = Proposal(f"p{number}", "a", "main", "c0", asked, "because", purpose=purpose, parts=parts)  # type: ignore[arg-type]
    known = dict.fromkeys(range(len(deltas)), BASE_BPB)
    parts_of = {
        "scores": {i: BASE_BPB + d for i, d in enumerate(deltas)},
        "head_scores": known,
        "base_scores": known,
        "stale": False,
    }
    return Candidate(proposal, effective({}, asked, DEFAULTS), **{**parts_of, **fields})  # type: ignore[arg-type]


def judge(about: Candidate, **fields: object) -> Observation:
    """A merger is asked about a candidate."""
    return Observation(
        "judge",
        0,
        **{"head": head(), "budget_spent": 0.5, "news": (BASELINE,), "candidate": about, **fields},  # type: ignore[arg-type]
    )
