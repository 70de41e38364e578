"""EVIDENCE.md: the record as a page that reads well where Markdown is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metaloop.edges.evidence import phrases as say
from metaloop.edges.evidence.effects import ablation, credit
from metaloop.edges.evidence.limits import limits
from metaloop.edges.leaderboard_cells import rate
from metaloop.meta.evidence.anytime import TimeToTarget
from metaloop.meta.evidence.importance import SIGNIFICANCE, Importance
from metaloop.meta.evidence.lineage import Step
from metaloop.meta.evidence.report import Evidence, Making, Standing, World

MOST_GENES = 15
"""Genes in the table; evidence.json has them all."""
PARTS = {"evolved": 0, "parent": 1, "twin": 2, "control": 3}


def render(evidence: Evidence, picture: str) -> str:
    """The whole page; ``picture`` is the path of the anytime curves, relative to it."""
    sections = (
        _head(evidence),
        _gains(evidence),
        _hours(evidence, picture),
        _lineage(evidence.lineage, evidence.ancestor),
        ablation(evidence.ablation, evidence.ancestor),
        credit(evidence),
        _importance(evidence.importance),
        _pareto(evidence.worlds),
        _reproduce(evidence.making, evidence.worlds),
        "## What this does not show\n\n" + "".join(f"- {limit}\n" for limit in limits(evidence)),
    )
    return "\n".join(section for section in sections if section)


def _head(evidence: Evidence) -> str:
    lines = "".join(f"- {sentence}\n" for world in evidence.worlds for sentence in _headline(world))
    return f"# {evidence.name}: the evidence\n\n{evidence.description}\n\n{lines}"


def _headline(world: World) -> Iterator[str]:
    """One sentence with every number that the claim stands on."""
    ours = next((s for s in world.standings if s.part == "evolved"), None)
    if ours is None or ours.gain_bpb is None:
        yield f"**{world.name}**: no confirmed org run yet."
        return
    terms = world.terms
    where = f"{say.target(terms)}, {terms.gpu_hours:g} GPU-hours on {terms.devices_in_words}"
    sentence = (
        f"**{world.name}** ({where}, n = {ours.n} org runs on fresh seeds): `{ours.name}` improves the target by "
        f"**{say.bpb(ours.gain_bpb)} bits per byte** {say.interval(ours.ci95)}"
    )
    by_name = {s.name: s for s in world.standings}
    parent = next((s for s in world.standings if s.part == "parent"), None)
    rivals = [(parent, "its parent")] if parent else []
    if world.strongest_control and (parent is None or parent.name != world.strongest_control):
        rivals.append((by_name[world.strongest_control], "the strongest control"))
    said = [say.against(s.evolved_minus, f"{whom} `{s.name}`") for s, whom in rivals if s.evolved_minus]
    time = next((t for t in world.hours_to_control if t.organization == ours.name), None)
    yield "; ".join([sentence, *said, *([_arrival(time)] if time else [])]) + "."


def _arrival(time: TimeToTarget) -> str:
    if time.gpu_hours is None:
        return f"it never is where `{time.control}` ends ({say.bpb(time.target_bpb)})"
    return f"it is where `{time.control}` ends after **{say.percent(time.share)}** of the GPU-hours{_bounds(time)}"


def _bounds(time: TimeToTarget) -> str:
    """`` [30 %, 55 %]``, in shares of the budget."""
    if time.ci95_hours is None:
        return ""
    low, high = time.ci95_hours
    end = "not within the run" if high is None else say.percent(high / time.budget_hours)
    return f" [{say.percent(low / time.budget_hours)}, {end}]"


def _gains(evidence: Evidence) -> str:
    """Side by side: gain of every organization in every world, and what the evolved one has over it."""
    worlds = evidence.worlds
    standings = [{s.name: s for s in world.standings} for world in worlds]
    order = sorted({name for found in standings for name in found}, key=lambda name: _rank(name, standings))
    headings = ["organization", *(h for world in worlds for h in (f"{world.name}: gain, bpb", "evolved − it", "p"))]
    rows = [
        [_title(name, standings), *(cell for found in standings for cell in _gain_cells(found.get(name)))]
        for name in order
    ]
    details = "".join(f"\nMeans of an org run, {world.name}:\n\n{_details(world)}" for world in worlds)
    return (
        "## Gains\n\n"
        "Confirmed gain in bits per byte: baseline minus trunk, retrained on fresh paired seeds and scored on "
        "unseen data; "
        "95 % t intervals over org runs. Differences are paired by org-run seed. p: two-sided paired t test, "
        "corrected for "
        "parent and all controls of that world after Holm; in brackets the exact sign-flip test, corrected likewise. "
        "Twins are controls of the method: the same organization twice, so p should be large.\n\n"
        f"{say.table(headings, rows)}{details}"
    )


def _rank(name: str, standings: Sequence[dict[str, Standing]]) -> tuple[int, float, str]:
    """Evolved, parent, twins, then controls by their gain in the first world that has them."""
    found = next(world[name] for world in standings if name in world)
    return PARTS[found.part], -(found.gain_bpb or 0.0), name


def _title(name: str, standings: Sequence[dict[str, Standing]]) -> str:
    part = next(world[name] for world in standings if name in world).part
    return f"**{say.code(name)}**" if part == "evolved" else f"{say.code(name)} ({part})"


def _gain_cells(standing: Standing | None) -> tuple[str, str, str]:
    if standing is None:
        return say.NONE, say.NONE, say.NONE
    paired = standing.evolved_minus
    p = say.NONE if paired is None else f"{say.p_of(paired)} ({say.exact_of(paired)})"
    return say.estimate(standing.gain_bpb, standing.ci95), say.difference(paired), p


def _details(world: World) -> str:
    headings = ["organization", "n", "gain per GPU-hour", "anytime area", "used", "trained", "merged", "false merges"]
    rows = [
        [
            say.code(s.name),
            f"{s.n}",
            rate(s.gain_per_gpu_hour),
            say.bpb(s.anytime_area),
            f"{s.utilization:.1%}",
            say.count(s.experiments),
            say.count(s.merges),
            say.NONE if s.false_merges is None else say.count(s.false_merges),
        ]
        for s in sorted(world.standings, key=lambda s: (PARTS[s.part], -(s.gain_bpb or 0.0), s.name))
    ]
    return say.table(headings, rows)


def _hours(evidence: Evidence, picture: str) -> str:
    rows = [
        [
            world.name,
            say.code(time.organization),
            f"{say.code(time.control)} {say.bpb(time.target_bpb)}",
            say.hours(time.gpu_hours),
            f"{say.percent(time.share)}{_bounds(time)}",
        ]
        for world in evidence.worlds
        for time in world.hours_to_control
    ]
    headings = ["world", "organization", "final gain of the strongest control", "GPU-hours until there", "share of all"]
    told = (
        "GPU-hours of one org run until the mean anytime curve is where the strongest control ends. The interval "
        "holds the "
        "hours at which the paired t interval (curve minus the control's final gain, seed by seed) contains 0.\n\n"
        f"{say.table(headings, rows, 3)}"
        if rows
        else "No control gained anything to be reached.\n"
    )
    return (
        f"## How soon\n\n![Mean confirmed gain over GPU-hours, or at the end, with 95 % t intervals]({picture})\n\n"
        f"Bands and bars are 95 % t intervals over org runs, at every hour by itself.\n\n{told}"
    )


def _lineage(steps: Sequence[Step], parent: str) -> str:
    if not steps:
        return ""
    told = "".join(f"\n{_step(number, step)}" for number, step in enumerate(steps, start=1))
    return (
        f"## Lineage\n\nFrom `{parent}` by {len(steps)} accepted mutations. What each gained is what the race saw "
        "when it "
        f"accepted it; it was chosen by that number, so it is optimistic.\n{told}"
    )


def _step(number: int, step: Step) -> str:
    gained = (
        f" {say.difference(step.measured)} bpb over `{step.parent}`, n = {step.measured.n}." if step.measured else ""
    )
    return f"**{number}. `{step.child}`** ({step.operator}): {step.change}.{gained}\n\n```diff\n{step.diff}```\n"


def _importance(importance: Importance) -> str:
    head = "## Knobs that mattered\n\n"
    if not importance.genes:
        return f"{head}{importance.remark}\n"
    headings = ["knob", "PED-ANOVA", "by chance", "p", "fANOVA", "organizations", "values"]
    rows = [
        [
            f"**{say.code(g.gene)}**" if g.p_value <= SIGNIFICANCE else say.code(g.gene),
            f"{g.ped_anova:.1%}",
            f"{g.chance:.1%}",
            say.p_value(g.p_value),
            say.NONE if g.fanova is None else f"{g.fanova:.1%}",
            f"{g.present}",
            f"{g.values}",
        ]
        for g in importance.genes[:MOST_GENES]
    ]
    more = len(importance.genes) - len(rows)
    return (
        f"{head}Optuna's importance evaluators over all {importance.trials} organizations that were measured: "
        "PED-ANOVA says how "
        f"differently a knob is set among the best {importance.top} and among all that have it; fANOVA, for knobs "
        "that all have, "
        "its share of the variance that a forest explains. By chance: the mean share when gains are shuffled; p: how "
        f"often a shuffle gave as much, not corrected. {importance.remark}\n\n{say.table(headings, rows)}"
        + (f"\n{more} further knobs are in evidence.json.\n" if more else "")
    )


def _pareto(worlds: Sequence[World]) -> str:
    rows = [
        [world.name, say.code(p.organization), say.bpb(p.gain_bpb), say.count(p.tokens), f"{p.usd:.2f}",
         "on the front" if p.on_front else ""]
        for world in worlds
        for p in world.pareto
    ]  # fmt: skip
    headings = ["world", "organization", "gain, bpb", "tokens", "dollars", ""]
    free = all(p.tokens == p.usd == 0 for world in worlds for p in world.pareto)
    remark = "All brains were scripted, so nothing was spent and the front is the best gain alone. " if free else ""
    return (
        f"## Gain against tokens and dollars\n\n{remark}Means of an org run; on the front is what no other "
        "organization beats "
        f"in gain, tokens and dollars at once.\n\n{say.table(headings, rows, 2)}"
    )


def _reproduce(making: Making, worlds: Sequence[World]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in making.versions.items())
    lines = [
        f"seed {making.seed}; {versions}",
        f"hardware: {making.hardware}",
        f"spent: {making.spent}",
        *(
            f"{world.name}: org-run seeds {_seeds(world)}, {world.terms.confirm_pairs} confirmation pairs"
            for world in worlds
        ),
    ]
    listed = "".join(f"- {line}\n" for line in lines)
    return f"## Reproduce\n\n```sh\n{making.command}\n```\n\n{listed}"


def _seeds(world: World) -> str:
    seeds = world.terms.org_run_seeds
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
