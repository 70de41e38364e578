"""A run from its terms to its results: org runs, confirmations, tracking, results and report.

Everything that is finished is on disk, so that :func:`execute` on an interrupted folder does only what is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from metaloop.edges.device_groups import check_edits
from metaloop.edges.means import Means
from metaloop.edges.outside import scout_terms, with_notes
from metaloop.edges.progress import Progress
from metaloop.edges.spending import Limit, within_limit
from metaloop.execution.backend import Backend
from metaloop.execution.hardware import counted
from metaloop.execution.org_run import OrgRunTerms, has_ended, run_org
from metaloop.execution.placement import Placement
from metaloop.execution.trainer import Target, TrainerSpec, describe, make_simulated
from metaloop.files import journal
from metaloop.files.org_file import OrgFile, check_focus, read_organization, write_whole
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, RunTerms, read_lines, write_json
from metaloop.meta.confirmation import Confirmer, trunk_history
from metaloop.meta.results import Results
from metaloop.vocabulary.errors import OrgFileError, UsageError
from metaloop.vocabulary.models import UNLIMITED, Allowance
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.text import nearest

NONE_GIVEN: Mapping[str, str] = MappingProxyType({})


def spec_of(terms: RunTerms) -> TrainerSpec:
    """The trainer that the terms name."""
    return TrainerSpec(terms.trainer, terms.preset, terms.data, terms.pace, terms.devices_per_experiment)


def target_of(terms: RunTerms) -> Target:
    """The target that the terms name."""
    return describe(spec_of(terms))


@contextmanager
def open_backend(terms: RunTerms, means: Means, progress: Progress) -> Iterator[Backend]:
    """The backend that the terms name, closed at the end whatever happens."""
    if terms.backend == "sim":
        yield simulator_of(terms)
        return
    from metaloop.edges.lanes import open_lanes

    progress.say(f"starting Ray and {terms.devices // terms.devices_per_experiment} warm trainers …")
    with open_lanes(terms, means, 1, progress) as (backend,):
        yield backend


def placement_of(terms: RunTerms, means: Means, lanes: int = 1) -> Placement:
    """What a device is to the cluster."""
    return Placement(gpus=1 / terms.devices_per_gpu, wait_s=means.wait_s, accelerator=terms.accelerator, lanes=lanes)


def say_if_mixed(hardware: Collection[str], progress: Progress) -> None:
    """Devices of several kinds make one organization's luck: which of its trainings were on the fast ones."""
    if len(set(hardware)) > 1:
        progress.say(
            f"WARNING: the devices are not of one kind: {counted(hardware)}. Times and scores then differ by device. "
            "--accelerator NAME takes only those with one accelerator."
        )


def simulator_of(terms: RunTerms) -> Backend:
    """The simulated cluster that the terms describe."""
    from metaloop.execution.simulator.backend import Simulator
    from metaloop.execution.simulator.cluster import Cluster

    trainer = make_simulated(spec_of(terms))
    return Simulator(trainer, terms.devices, msgspec.convert(terms.cluster, Cluster))


def create(out: Path, terms: RunTerms, sources: dict[str, Path], models: Mapping[str, str] = NONE_GIVEN) -> RunFolder:
    """Make the run's folder: its terms, and every organization whole (``sources``: name to folder).

    ``models`` maps an organization to the model that takes the place of its own.

    Raises:
        UsageError: the folder already holds a run.
    """
    folder = RunFolder(out)
    if folder.terms.exists():
        raise UsageError(f"{out} already holds a run. Continue it with `metaloop resume {out}`, or name another --out.")
    shutil.rmtree(folder.organizations, ignore_errors=True)  # left by a command that died before its terms stood
    for name, source in sources.items():
        write_whole(source, folder.organizations / name, models.get(name, ""))
    write_json(folder.terms, with_notes(terms, folder))
    return folder


def organizations_of(folder: RunFolder, terms: RunTerms, target: Target) -> list[Organization]:
    """The organizations of a run, read from its own copies."""
    files = [read_organization(folder.organizations / name) for name in terms.organizations]
    return [check_runnable(file, target, terms.thinkers.names) for file in files]


def check_runnable(file: OrgFile, target: Target, known: tuple[str, ...] = ()) -> Organization:
    """What only the target and the brains at hand can tell of an organization, before any device time is spent.

    Raises:
        OrgFileError: a focus names no knob group, or a member asks for a model that is not among the ``known`` names.
    """
    organization = file.to_organization()
    check_focus(organization, target.space.groups, file)
    check_edits(organization, target.devices_per_experiment)
    for member in organization.members:
        if member.brain != "scripted" and member.brain not in known:
            raise OrgFileError(
                file.document.path,
                None,
                f"member {member.name} asks for model {member.brain!r}{nearest(member.brain, known)}, expected "
                f"`scripted` or one of the models file ({', '.join(known) or 'it has none'}). Set one of them, "
                "or add a card and name the file with --models.",
            )
    return organization


def discard_if_empty(folder: RunFolder) -> None:
    """Remove a run's folder in which nothing has begun."""
    terms = folder.read_terms()
    if not any((folder.path / name).exists() for name in terms.organizations):
        shutil.rmtree(folder.path)


def execute(folder: RunFolder, backend: Backend, progress: Progress) -> None:
    """Do what is missing: seed by seed, every organization in turn, each confirmed after its run.

    Organizations alternate within a seed so that a machine that slows down over the hours slows all of them.
    """
    bench = _bench(folder, folder.read_terms(), backend, progress)
    organizations = organizations_of(folder, bench.terms, bench.target)
    with within_limit(progress):
        for seed in bench.terms.org_run_seeds:
            for organization in organizations:
                _run(bench, organization, seed)
                _confirm(bench, organization.name, seed)


def execute_one(
    folder: RunFolder,
    org_run: tuple[str, int],
    backend: Backend,
    progress: Progress,
    *,
    most: Allowance = UNLIMITED,
    alone: AbstractContextManager[object],
) -> None:
    """What is missing of one org run (organization and seed) and its confirmation, others may go on beside it.

    It may think for ``most``, if its terms grant no less. It confirms ``alone`` among those of its seed.
    """
    terms, (name, seed) = folder.read_terms(), org_run
    bench = _bench(folder, replace(terms, allowance=terms.allowance.least(most)), backend, progress)
    organization = check_runnable(read_organization(folder.organizations / name), bench.target, terms.thinkers.names)
    _run(bench, organization, seed)
    with alone:
        _confirm(bench, name, seed)


@dataclass(frozen=True)
class _Bench:
    """What all org runs of a run have in common."""

    folder: RunFolder
    terms: RunTerms
    target: Target
    backend: Backend
    progress: Progress


def _bench(folder: RunFolder, terms: RunTerms, backend: Backend, progress: Progress) -> _Bench:
    return _Bench(folder, terms, target_of(terms), backend, progress)


def _run(bench: _Bench, organization: Organization, seed: int) -> None:
    folder, terms, backend, progress = bench.folder, bench.terms, bench.backend, bench.progress
    place = folder.org_run(organization.name, seed)
    if has_ended(place):
        return
    Limit(folder, terms).check_org_run(place.journal.exists())
    allowed = _allowance(folder, organization, terms)
    if allowed.spent(0, 0.0):
        progress.say(f"{organization.name} seed {seed}: not begun, the tokens or dollars for thinking are spent")
        return
    if backend.name == "sim":  # costs nothing to begin anew, and then repeats byte for byte
        _begin_anew(place)
    with progress.org_run(organization.name, seed) as observer:
        scouting = scout_terms(folder, terms)
        granted = OrgRunTerms(
            organization, seed, terms.budget_s, terms.thinkers, allowed, scouting, terms.lessons, terms.canaries
        )
        run_org(granted, place, bench.target, backend, observer)


def _begin_anew(place: OrgRunFolder) -> None:
    """Nothing of an org run is left but what its models said: that was paid for."""
    for path in place.path.iterdir() if place.path.exists() else ():
        if path != place.transcripts:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _allowance(folder: RunFolder, organization: Organization, terms: RunTerms) -> Allowance:
    """What the organization may think for now; nothing limits one whose members are all scripted."""
    if all(member.brain == "scripted" for member in organization.members):
        return UNLIMITED
    return terms.allowance.least(terms.total_allowance.less(*_thought(folder, terms)))


def _thought(folder: RunFolder, terms: RunTerms) -> tuple[int, float]:
    """Tokens and dollars of all org runs that have ended, those of answers that came too late among them."""
    from metaloop.meta.thinking import charged

    if terms.total_allowance == UNLIMITED:
        return 0, 0.0
    places = [folder.org_run(name, seed) for name in terms.organizations for seed in terms.org_run_seeds]
    counts = [charged(journal.read(place.journal), place.transcripts) for place in places if has_ended(place)]
    return sum(count.tokens for count in counts), sum(count.usd for count in counts)


def _confirmer(bench: _Bench, seed: int) -> Confirmer:
    """It knows what was trained for other organizations on the same seed; other seeds have no training in common."""
    places = [bench.folder.org_run(name, seed) for name in bench.terms.organizations]
    known = [confirmation for place in places for confirmation in read_lines(place.confirmations, Confirmation)]
    return Confirmer(bench.backend, bench.terms.confirm_pairs, known, bench.target.devices_per_experiment)


def _confirm(bench: _Bench, name: str, seed: int) -> None:
    from metaloop.actors.state import replay

    folder, place = bench.folder, bench.folder.org_run(name, seed)
    if not has_ended(place):
        return
    events = journal.read(place.journal)
    state = replay(events)
    trunk, off = trunk_history(events, state.root), frozenset(state.canaries.set_aside)
    if bench.terms.confirm == "ends":
        trunk = trunk.ends()
    with bench.progress.confirmation(name, seed) as on_progress:
        watched = Limit(folder, bench.terms).watch(on_progress)
        _confirmer(bench, seed).confirm(place, seed, trunk, watched, off)


def conclude(folder: RunFolder) -> Results:
    """Measure the run, and write its results and report."""
    from metaloop.edges.report import write_report
    from metaloop.meta.measure import measure_run

    results = measure_run(folder.path)
    write_json(folder.results, results)
    write_report(folder.path)
    return results
