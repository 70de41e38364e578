"""The sections of EVIDENCE.md that say what the gain is made of: changed lines, and members."""

from __future__ import annotations

from collections.abc import Sequence

from metaloop.edges.evidence import phrases as say
from metaloop.meta.evidence.report import Effect, Evidence, Study


def ablation(study: Study | None, parent: str) -> str:
    """Every change since the ancestor with its worth, the largest first; empty where none was measured."""
    if study is None:
        return ""
    whole = ""
    worths = [effect.worth.difference_bpb for effect in study.effects if effect.worth]
    if study.whole is not None:
        whole = (
            f"\nThe whole gain over `{parent}` on these seeds is {say.difference(study.whole)}; the worths of "
            "single changes "
            f"add up to {say.bpb(sum(worths))}. What is missing or too much is interaction and noise.\n"
        )
    return (
        f"## Which lines earn the gain\n\nEvery change since `{parent}`, taken back alone while all others stay. "
        "Worth: gain "
        f"of the evolved organization minus gain without the change, bpb. {_family(study)}\n\n"
        f"{_effects('change', study.effects, lines=True)}{whole}"
    )


def _family(study: Study) -> str:
    terms = study.terms
    seeds = max((effect.worth.n for effect in study.effects if effect.worth), default=0)
    where = "simulated" if terms.backend == "sim" else "real"
    tests = sum(effect.worth is not None for effect in study.effects)
    return (
        f"Measured {where} ({say.target(terms)}, {terms.gpu_hours:g} GPU-hours), n = {seeds} paired "
        "org runs; "
        f"p: paired t test, Holm over {tests}."
    )


def _effects(what: str, effects: Sequence[Effect], *, lines: bool) -> str:
    headings = [what, *(["lines of ORG.md"] if lines else ["what goes with it"]), "worth, bpb", "p", ""]
    ranked = sorted(effects, key=lambda e: -e.worth.difference_bpb if e.worth else 0.0)
    rows = [
        [
            say.escape(e.change) + (f" (with it: {say.escape(e.along)})" if e.along and lines else ""),
            _spans(e.lines) if lines else say.escape(e.along),
            "0, exactly" if e.inert else say.difference(e.worth),
            say.p_of(e.worth),
            _reading(e),
        ]
        for e in ranked
    ]
    return say.table(headings, rows, 2)


def _reading(effect: Effect) -> str:
    if effect.inert:
        return "read by nobody"
    if effect.worth is None:
        return "not measured"
    if effect.worth.difference_bpb == 0.0 and effect.worth.ci95 == (0.0, 0.0):
        return "the same on every seed"
    if not say.told_apart(effect.worth):
        return "not told apart from 0"
    return "**earns**" if effect.worth.difference_bpb > 0 else "**costs**"


def _spans(lines: Sequence[int]) -> str:
    """``12, 14–16``; ``removed`` where the child has no line of it."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in spans) or "removed"


def credit(evidence: Evidence) -> str:
    """Every member that can be left out with its worth, and those that cannot; empty where none was measured."""
    if evidence.credit is None:
        return ""
    needed = "".join(f"\n- {say.code(i.member)}: {i.reason}." for i in evidence.indispensable)
    told = f"\nNever left out:\n{needed}\n" if needed else ""
    return (
        "## What each member is worth\n\nWhat the organization loses without each entry of its members, all "
        "others as they "
        f"are. {_family(evidence.credit)}\n\n{_effects('without', evidence.credit.effects, lines=False)}{told}"
    )
