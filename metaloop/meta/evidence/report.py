"""All evidence for one evolved organization as one record (``evidence.json``), and how it is gathered."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaloop.files.run_folder import RunTerms
from metaloop.meta.evidence.anytime import Curves, TimeToTarget, mean_curves, time_to_target
from metaloop.meta.evidence.credit import Indispensable
from metaloop.meta.evidence.importance import Importance
from metaloop.meta.evidence.lineage import Step
from metaloop.meta.evidence.paired import Paired, compare, corrected
from metaloop.meta.evidence.pareto import Place, front
from metaloop.meta.evidence.variant import Variant
from metaloop.meta.measure import strongest_control
from metaloop.meta.results import OrganizationResult, Results
from metaloop.vocabulary.errors import UsageError


class Standing(msgspec.Struct, frozen=True):
    """One organization in one world, over ``n`` confirmed org runs.

    ``part`` is what it is in the comparison: ``evolved``, ``parent``, ``control``, or ``twin`` (the evolved
    organization or its parent again, A/A). Experiments, merges, false merges, tokens and dollars are means of an org
    run. Anytime area and false merges are ``None`` where trunks were confirmed at their ends alone.
    ``evolved_minus`` is the evolved organization's gain minus this one's; ``None`` for itself.
    """

    name: str
    part: str
    gain_bpb: float | None
    ci95: tuple[float, float] | None
    n: int
    gain_per_gpu_hour: float | None
    anytime_area: float | None
    utilization: float
    experiments: float
    merges: float
    false_merges: float | None
    tokens: float
    usd: float
    evolved_minus: Paired | None


class World(msgspec.Struct, frozen=True):
    """One comparison on equal terms: simulated, real, or in an unseen world. Fresh seeds: none was selected on.

    ``hours_to_control`` holds evolved organization and parent, where they have a course to be read; it is empty without
    a control. ``evolved_gpu_hours`` is what an org run of the evolved organization was granted: less than the terms
    say where it is to show what it does with a part of what the others had.
    """

    name: str
    terms: RunTerms
    evolved_gpu_hours: float
    standings: tuple[Standing, ...]
    strongest_control: str | None
    hours_to_control: tuple[TimeToTarget, ...]
    anytime: Curves
    pareto: tuple[Place, ...]


class Effect(msgspec.Struct, frozen=True):
    """What a change, or a member, is worth: the evolved organization's gain minus that of the variant without it.

    ``variant``, ``change``, ``along``, ``lines`` and ``diff`` are those of
    :class:`metaloop.meta.evidence.variant.Variant`. ``inert`` says that the variant does what the evolved organization
    does, since nobody reads what differs: its worth is exactly zero, and nothing was run. ``worth`` is ``None`` there,
    and where the variant has no score.
    """

    variant: str
    change: str
    along: str
    lines: tuple[int, ...]
    diff: tuple[str, ...]
    inert: bool
    worth: Paired | None


class Study(msgspec.Struct, frozen=True):
    """A family of effects, measured under the same terms on the same seeds. ``whole`` is evolved minus parent there."""

    terms: RunTerms
    effects: tuple[Effect, ...]
    whole: Paired | None


class Making(msgspec.Struct, frozen=True):
    """How it came about: ``command`` and ``seed`` reproduce it, with these versions, on this hardware.

    ``spent`` is what it cost, in words (``3.1 GPU-hours real, 4,200 simulated org runs, 52 minutes``).
    """

    command: str
    seed: int
    versions: dict[str, str]
    hardware: str
    spent: str


class Evidence(msgspec.Struct, frozen=True):
    """What is handed over with an evolved organization. ``limits`` are further sentences on what it does not show.

    ``parent`` is whom it had to beat: the best of the organizations that the evolution was given.
    """

    name: str
    description: str
    parent: str
    worlds: tuple[World, ...]
    lineage: tuple[Step, ...]
    ablation: Study | None
    credit: Study | None
    indispensable: tuple[Indispensable, ...]
    importance: Importance
    making: Making
    limits: tuple[str, ...] = ()

    @property
    def ancestor(self) -> str:
        """Whom it descends from: the given organization at the root of its lineage, which need not be the best."""
        return self.lineage[0].parent if self.lineage else self.parent


def observe(name: str, results: Results, evolved: str, parent: str, twins: Sequence[str] = ()) -> World:
    """The world called ``name`` as its measured run shows it.

    Parent and controls (those whose own file says so) are one family, whose p values are corrected; twins are compared,
    but no claim is made about them. Whoever else ran there is left out.

    Raises:
        UsageError: the evolved organization is not among the results.
    """
    ours = _named(results, evolved)
    named = {evolved: "evolved", parent: "parent", **dict.fromkeys(twins, "twin")}
    shown = [o for o in results.organizations if o.name in named or o.control]
    parts = {o.name: named.get(o.name, "control") for o in shown}
    others = {o.name: o for o in shown if o.name != evolved}
    against = {name: compare(ours, other) for name, other in others.items()}
    family = [name for name in others if parts[name] != "twin"]
    against |= dict(zip(family, corrected([against[name] for name in family]), strict=True))
    standings = tuple(_standing(o, parts[o.name], against.get(o.name), results.terms) for o in shown)
    control = strongest_control(other for name, other in others.items() if parts[name] != "twin")
    budget = results.terms.gpu_hours
    runners = [o for o in shown if o.name in (evolved, parent) and has_course(o, results.terms)]
    times = [time_to_target(o, control, budget) for o in runners] if control is not None else []
    return World(
        name=name,
        terms=results.terms,
        evolved_gpu_hours=granted(ours, budget),
        standings=standings,
        strongest_control=None if control is None else control.name,
        hours_to_control=tuple(time for time in times if time is not None),
        anytime=mean_curves(shown, budget),
        pareto=front([Place(s.name, s.gain_bpb, s.tokens, s.usd) for s in standings if s.gain_bpb is not None]),
    )


def has_course(organization: OrganizationResult, terms: RunTerms) -> bool:
    """Whether its curves say when it was where: with trunks confirmed at their ends alone they have one step, at the
    end, which is news only for an organization that was granted less than the others."""
    return terms.confirm == "trunk" or granted(organization, terms.gpu_hours) < terms.gpu_hours


def granted(organization: OrganizationResult, default: float) -> float:
    """GPU-hours that its org runs were granted; ``default`` without any."""
    return min((run.budget_gpu_hours for run in organization.org_runs), default=default)


def _named(results: Results, name: str) -> OrganizationResult:
    found = next((o for o in results.organizations if o.name == name), None)
    if found is None:
        there = ", ".join(o.name for o in results.organizations)
        raise UsageError(f"{results.out} holds no organization {name!r}, only {there}. Name one of them.")
    return found


def _standing(organization: OrganizationResult, part: str, against: Paired | None, terms: RunTerms) -> Standing:
    runs = [run for run in organization.org_runs if run.gain_bpb is not None]
    each = max(1, len(organization.org_runs))
    whole = terms.confirm == "trunk"
    return Standing(
        name=organization.name,
        part=part,
        gain_bpb=organization.gain_bpb,
        ci95=organization.gain_ci95,
        n=len(runs),
        gain_per_gpu_hour=organization.gain_per_gpu_hour,
        anytime_area=organization.anytime_area if whole else None,
        utilization=organization.utilization,
        experiments=organization.experiments / each,
        merges=organization.merges / each,
        false_merges=organization.false_merges / each if whole else None,
        tokens=organization.tokens / each,
        usd=organization.usd / each,
        evolved_minus=against,
    )


def study(variants: Sequence[Variant], results: Results, evolved: str, parent: str) -> Study:
    """What every variant lacks is worth, from a run in which the evolved organization and all variants took part.

    p values are corrected for the number of variants.

    Raises:
        UsageError: the evolved organization is not among the results.
    """
    ours = _named(results, evolved)
    ran = {o.name: o for o in results.organizations}
    worths = [compare(ours, ran[v.name]) if v.name in ran and v.name != evolved else None for v in variants]
    effects = [
        Effect(v.name, v.change, v.along, v.lines, v.diff, v.name == evolved, worth)
        for v, worth in zip(variants, corrected(worths), strict=True)
    ]
    return Study(results.terms, tuple(effects), compare(ours, ran[parent]) if parent in ran else None)
