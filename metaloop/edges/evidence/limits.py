"""What the evidence does not show: sentences that follow from what was measured, and those that came with it."""

from __future__ import annotations

from collections.abc import Iterator

from metaloop.edges.evidence.phrases import target
from metaloop.meta.evidence.report import Evidence, World

FEW = 6
"""Org runs below which no exact test can say 5 %."""


def limits(evidence: Evidence) -> list[str]:
    """One sentence for each limit, the weightiest first."""
    return [*evidence.limits, *_worlds(evidence), *_numbers(evidence), *_analyses(evidence)]


def _worlds(evidence: Evidence) -> Iterator[str]:
    real = [world for world in evidence.worlds if world.terms.backend != "sim"]
    simulated = [world.name for world in evidence.worlds if world.terms.backend == "sim"]
    if not real:
        yield "Nothing here was measured on real trainings: the simulator proposes, short real runs decide."
    if simulated:
        yield (
            f"What is told of {_listed(simulated)} comes from a model of trainings; how far that is off is measured by "
            "`metaloop fidelity` and told in docs/simulator.md."
        )
    targets = sorted({target(world.terms) for world in evidence.worlds})
    budgets = sorted({world.terms.gpu_hours for world in evidence.worlds})
    yield (
        f"Other targets, sizes and budgets than those here ({', '.join(targets)}; "
        f"{', '.join(f'{b:g}' for b in budgets)} GPU-hours) may rank organizations otherwise."
    )


def _listed(names: list[str]) -> str:
    return " and ".join(f"*{name}*" for name in names)


def _numbers(evidence: Evidence) -> Iterator[str]:
    for world in evidence.worlds:
        yield from _few(world)
        lost = [
            f"`{s.name}` ({s.evolved_minus.missing})"
            for s in world.standings
            if s.evolved_minus is not None and s.evolved_minus.missing
        ]
        if lost:
            yield (
                f"*{world.name}*: on some seeds one of the two has no confirmed gain and counts as having lost by "
                "the largest "
                f"difference seen, against {', '.join(lost)}."
            )
    if any(world.hours_to_control for world in evidence.worlds):
        yield (
            "The strongest control was chosen after the fact, which makes beating it harder. Anytime curves are "
            "the best of "
            "several noisy means, hence a little high, while a control's final gain is none; that makes reaching "
            "it easier."
        )


def _few(world: World) -> Iterator[str]:
    pairs = [s.evolved_minus.n for s in world.standings if s.evolved_minus is not None]
    claims = sum(s.evolved_minus is not None and s.part != "twin" for s in world.standings)
    if not pairs:
        return
    n = min(pairs)
    if n < FEW:
        yield f"*{world.name}*: {n} paired org runs are few; intervals stand on the assumption of nearly normal noise."
    elif claims * 2.0 ** (1 - n) > 0.01:
        least = min(1.0, claims * 2.0 ** (1 - n))
        yield (
            f"*{world.name}*: with {n} pairs and {claims} comparisons the sign-flip test's corrected p cannot fall "
            f"below {least:.2g}, whatever the gains."
        )


def _analyses(evidence: Evidence) -> Iterator[str]:
    if evidence.ablation or evidence.credit:
        yield (
            "Ablation and credit take one thing away at a time: of two that can stand in for each other neither "
            "shows, and "
            "the worths need not add up. Removing a member also changes who gets which random stream, which adds noise."
        )
    if evidence.importance.genes:
        yield (
            "Importance is association over what the search happened to try, not cause; whether a member is "
            "there at all is "
            "no knob and has none."
        )
