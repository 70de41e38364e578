"""The stand-in of the prose organization: every idea fits the code, and what it does follows from its prompt."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from metaloop.brains.registry import make_brain
from metaloop.execution.nanogpt_trainer import EDITABLE, knobs, sources
from metaloop.files.knobs_file import KNOBS_FILE, knobs_file
from metaloop.files.models_file import read_thinkers
from metaloop.files.org_file import load_organization
from metaloop.files.repository import Change, Repository
from metaloop.vocabulary.code import apply_edits, lines_changed
from metaloop.vocabulary.decisions import Judge, Observation, Pass, Propose
from metaloop.vocabulary.models import ThinkingTerms
from metaloop.vocabulary.records import Candidate, Head, Outcome, Proposal
from metaloop.vocabulary.space import Space

ROOT = Path(__file__).parents[3]
ORG = ROOT / "orgs" / "autoresearch"
SPACE = Space(knobs())
TEXTS = {path: text for path, text in sources().items() if path in EDITABLE}


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stand_in", ORG / "stand_in.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["stand_in"] = made
    spec.loader.exec_module(made)
    return made


IDEAS = module().IDEAS


@pytest.fixture
def terms(tmp_path: Path) -> ThinkingTerms:
    files = {**sources(), KNOBS_FILE: knobs_file(SPACE, {})}
    Repository(tmp_path / "repo").create(Change("main", "c0", files, "Baseline", "Because.", {"By": "a test"}, 0))
    agents = read_thinkers(ORG / "models.yaml").agents
    return ThinkingTerms(agents=agents, repository=str(tmp_path / "repo"), worktrees=str(tmp_path / "worktrees"))


def decide(terms: ThinkingTerms, kind: str, observation: Observation) -> Propose | Judge | Pass:
    (member,) = load_organization(ORG).of_kind(kind)  # type: ignore[arg-type]
    thinker = msgspec.structs.replace(member, brain="stand-in")
    decision = make_brain(thinker, SPACE, 0, (), terms).decide(observation)
    assert isinstance(decision, Propose | Judge | Pass), decision
    assert decision.cost.tokens > 100
    return decision


def asked(*made: Propose, pending: tuple[Propose, ...] = ()) -> Observation:
    """After those proposals were trained and dropped."""
    first = Outcome("e1", None, "", "", "main", "incumbent", {}, {}, 0, "ok", 4.0, None)
    news = [
        Outcome(
            f"e{i}", f"p{i}", "researcher", "", "main", "candidate", p.changes, {}, 0, "ok", 4.1, 0.1, edits=p.edits
        )
        for i, p in enumerate(made, start=2)
    ]
    configs = tuple({**p.changes, **digests(p)} for p in pending)
    head = Head("main", "c0", {}, {0: 4.0}, 0)
    return Observation("propose", len(made), head, 0.1, (first, *news), pending=configs, sources=TEXTS)


def digests(proposal: Propose) -> dict[str, str]:
    from metaloop.vocabulary.code import source_digest

    return {f"file:{path}": source_digest(path, text) for path, text in apply_edits(TEXTS, proposal.edits).items()}


@pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.hypothesis[:30])
def test_every_idea_fits_the_code_as_it_is(idea: object) -> None:
    for path, old, new in idea.edits:  # type: ignore[attr-defined]
        assert TEXTS[path].count(old) == 1
        assert new != old
    for knob, value in idea.knobs:  # type: ignore[attr-defined]
        assert SPACE[knob].check(json.loads(value)) != SPACE[knob].default


def test_there_are_edits_knobs_a_deletion_and_a_crash() -> None:
    assert len(IDEAS) >= 10
    assert sum(bool(idea.edits) for idea in IDEAS) >= 6
    assert sum(bool(idea.knobs) for idea in IDEAS) >= 3
    assert any("width_of_a_head" in new for idea in IDEAS for _, _, new in idea.edits)


def test_it_goes_down_its_list_and_repeats_nothing(terms: ThinkingTerms) -> None:
    made: list[Propose] = []
    for idea in IDEAS[:5]:
        decision = decide(terms, "proposer", asked(*made))
        assert isinstance(decision, Propose)
        assert (decision.hypothesis, decision.predicted_delta) == (idea.hypothesis, idea.expected)
        assert decide(terms, "proposer", asked(*made)).cost.tokens == decision.cost.tokens
        made.append(decision)
    assert lines_changed(made[3].edits) == (1, 4), "a deletion, but for one line"
    assert [bool(one.edits) for one in made] == [False, True, True, True, True]


def test_what_is_on_its_way_is_not_proposed_again(terms: ThinkingTerms) -> None:
    first = decide(terms, "proposer", asked())
    assert isinstance(first, Propose)
    second = decide(terms, "proposer", asked(pending=(first,)))
    assert isinstance(second, Propose)
    third = decide(terms, "proposer", asked(pending=(first, second)))
    assert isinstance(third, Propose)
    assert len({first.hypothesis, second.hypothesis, third.hypothesis}) == 3
    assert decide(terms, "proposer", asked(first, pending=(first,))) != third


@pytest.mark.parametrize(("delta", "verdict"), [(-0.01, "merge"), (0.01, "discard"), (0.0, "discard")])
def test_it_keeps_what_is_better(terms: ThinkingTerms, delta: float, verdict: str) -> None:
    proposal = Proposal("p1", "researcher", "main", "c0", {"beta1": 0.8}, "because")
    candidate = Candidate(proposal, {"beta1": 0.8}, {0: 4.0 + delta}, {0: 4.0}, {0: 4.0}, False)
    observation = Observation("judge", 0, Head("main", "c0", {}, {0: 4.0}, 0), 0.5, candidate=candidate)
    decision = decide(terms, "merger", observation)
    assert isinstance(decision, Judge)
    assert decision.verdict == verdict
    assert f"{delta:+.4f}" in decision.reason


def test_the_same_score_with_fewer_lines_is_kept(terms: ThinkingTerms) -> None:
    edits = tuple(e for old, new in [(IDEAS[3].edits[0][1], IDEAS[3].edits[0][2])] for e in _edit(old, new))
    proposal = Proposal("p1", "researcher", "main", "c0", {}, "because", edits=edits)
    candidate = Candidate(proposal, {"file:nanogpt/model.py": "x"}, {0: 4.0}, {0: 4.0}, {0: 4.0}, False)
    observation = Observation("judge", 0, Head("main", "c0", {}, {0: 4.0}, 0), 0.5, candidate=candidate)
    decision = decide(terms, "merger", observation)
    assert isinstance(decision, Judge)
    assert decision.verdict == "merge"


def _edit(old: str, new: str) -> tuple[object, ...]:
    from metaloop.vocabulary.code import Edit

    return (Edit("nanogpt/model.py", old, new),)


def test_it_runs_on_the_standard_library_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ORG / "stand_in.py")], capture_output=True, text=True, check=False
    )
    assert "ValueError" in done.stderr, "it got as far as its arguments"
