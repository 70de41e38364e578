"""Makes run folders without training anything: valid events and confirmations from a seed, for tests of the edges.

The organization tries one knob at a time; its bpb is a sum of the knobs' true effects plus noise, so every test knows
what measurement should find.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, RunTerms, append_line, write_json
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import (
    TRUNK,
    Config,
    Cost,
    CurvePoint,
    Experiment,
    Proposal,
    StopRule,
    TrainingResult,
    digest,
)
from metaloop.vocabulary.seeds import confirmation_seed

BASELINE = 4.0
BUDGET_S = 120.0
NOISE = 0.004
KNOBS = ("matrix_lr", "warmup", "depth", "weight_decay", "beta2", "softcap", "init_scale", "batch")


@dataclass(frozen=True)
class Profile:
    """An organization to make up. ``skill`` is the chance that a proposal truly helps."""

    name: str
    skill: float = 0.35
    merges: bool = True
    control: bool = False
    standup_every: int = 0
    authors: tuple[str, ...] = ("local-proposer",)


PROFILES = (
    Profile("solo-greedy", 0.25, control=True),
    Profile("no-op", 0.25, merges=False, control=True),
    Profile("daily-standup", 0.45, standup_every=12, authors=("local-proposer", "bold-proposer", "tpe-proposer")),
    Profile("careful-lab", 0.30, authors=("careful-1", "careful-2")),
)


class Maker:
    """Plays one org run on two devices."""

    def __init__(self, profile: Profile, seed: int, devices: int = 2, budget_s: float = BUDGET_S) -> None:
        self.profile, self.seed, self.budget_s = profile, seed, budget_s
        self.devices = tuple(f"cpu-{i}" for i in range(devices))
        self.rng = random.Random(f"{profile.name}{seed}")
        self.events: list[ev.Event] = []
        self.free = dict.fromkeys(self.devices, 0.0)
        self.root = digest({"root": profile.name, "seed": seed})
        self.trunk: list[tuple[str, Config]] = [(self.root, {})]
        self.truth: dict[str, float] = {self.root: BASELINE}
        self.score = BASELINE
        self.judged = 0.0
        self.merged: list[ev.Merged] = []

    def play(self, ended: bool = True) -> list[ev.Event]:
        """All events of the run, in order of time."""
        p = self.profile
        target = {"trainer": "nanogpt", "preset": "cpu-tiny"}
        self.events.append(
            ev.RunStarted(
                0.0, p.name, digest({"n": p.name}), self.seed, self.devices, self.budget_s, target, "ray", "0"
            )
        )
        self.events += [ev.Reserved(0.0, device) for device in self.devices]
        self._train("e1", None, "incumbent", BASELINE)
        count = 1
        while min(self.free.values()) < self.budget_s / len(self.devices):
            count += 1
            self._experiment(count)
            if p.standup_every and count % p.standup_every == 0:
                self._stand_up()
        if ended:
            end = max(self.judged, *self.free.values())
            self.events += [ev.Released(self.free[device], device) for device in self.devices]
            self.events.append(ev.RunEnded(end, "the budget was spent"))
        self.events.sort(key=lambda event: event.t)
        return self.events

    def _experiment(self, number: int) -> None:
        author = self.rng.choice(self.profile.authors)
        knob = self.rng.choice(KNOBS)
        changes: Config = {knob: round(self.rng.random(), 3)}
        commit, config = self.trunk[-1]
        effect = -abs(self.rng.gauss(0, 0.05)) if self.rng.random() < self.profile.skill else self.rng.gauss(0.02, 0.03)
        start = min(self.free.values())
        cost = Cost(0.01, 120, 0.0004)
        proposal = Proposal(f"p{number}", author, TRUNK, commit, changes, f"a better {knob} <b>&", effect)
        self.events.append(ev.Proposed(start, proposal, {**config, **changes}, cost))
        value = self.truth[commit] + effect + self.rng.gauss(0, NOISE)
        end, state = self._train(f"e{number}", proposal, "candidate", value)
        if state != "ok":
            return
        # One verdict after the other: trunk is a line.
        end = self.judged = max(end, self.judged + 0.001)
        delta = value - self.score
        verdict = "merge" if delta < 0 and self.profile.merges else "discard"
        self.events.append(ev.Judged(end, proposal.id, "greedy-merger", verdict, "first score", Cost(), delta, None, 1))
        if verdict == "merge":
            self._merge(proposal, {**config, **changes}, delta, effect, end)
            self.score = value

    def _train(self, name: str, proposal: Proposal | None, purpose: str, bpb: float) -> tuple[float, str]:
        device = min(self.free, key=lambda d: self.free[d])
        start, seconds = self.free[device], self.rng.uniform(1.4, 1.9)
        state = (
            "ok"
            if purpose == "incumbent"
            else self.rng.choices(("ok", "stopped", "diverged", "crash"), (90, 5, 3, 2))[0]
        )
        seconds *= 1.0 if state == "ok" else 0.3
        curve = tuple(CurvePoint(f, seconds * f, bpb + 2 * (1 - f)) for f in (0.125, 0.25, 0.5, 1.0))
        config = {} if proposal is None else {**self.trunk[-1][1], **proposal.changes}
        experiment = Experiment(name, config, 0, TRUNK, purpose, 1, proposal.id if proposal else None)  # type: ignore[arg-type]
        result = TrainingResult(
            state,
            seconds,
            {"val": bpb} if state == "ok" else {},
            curve if state == "ok" else curve[:1],
            90,
            60_000,  # type: ignore[arg-type]
        )
        end = start + seconds + 0.02
        self.events.append(ev.Queued(start, experiment))
        self.events.append(ev.Started(start + 0.02, name, device, 1, StopRule(0.25, 9.0) if proposal else None))
        self.events.append(ev.Finished(end, name, device, 1, result))
        self.free[device] = end
        return end, state

    def _merge(self, proposal: Proposal, config: Config, delta: float, effect: float, t: float) -> None:
        parent = self.trunk[-1][0]
        commit = digest({"parent": parent, "proposal": proposal.id})
        self.trunk.append((commit, config))
        self.truth[commit] = self.truth[parent] + effect
        merged = ev.Merged(
            t, TRUNK, commit, parent, proposal.id, "greedy-merger", proposal.author, config, delta, None, 1,
            t * len(self.devices), "greedy",
        )  # fmt: skip
        self.merged.append(merged)
        self.events.append(merged)

    def _stand_up(self) -> None:
        begin = max(self.free.values())
        self.events.append(ev.StandUpBegan(begin, "director"))
        self.events.append(ev.StandUpEnded(begin + 1.5, "director", {}, "more optimizer", Cost(1.5, 900, 0.002)))
        self.free = dict.fromkeys(self.devices, begin + 1.5)

    def confirmations(self, pairs: int = 4, fail: tuple[tuple[int, int], ...] = ()) -> list[Confirmation]:
        """Trainings of every trunk commit; ``fail`` lists (index of the commit, pair) that crash."""
        found = []
        for pair in range(pairs):
            shared = random.Random(f"pair{self.seed}{pair}").gauss(0, 0.02)
            for index, (commit, config) in enumerate(self.trunk):
                own = random.Random(f"{commit}{pair}").gauss(0, NOISE) if index else 0.0
                value = self.truth[commit] + shared + own
                state, bpb = "ok", {"holdout": value + 0.1, "confirm": value}
                if (index, pair) in fail:
                    state, bpb = "crash", {}
                seed = confirmation_seed(self.seed, pair)
                found.append(Confirmation(commit, config, pair, seed, state, bpb, 1.7))  # type: ignore[arg-type]
        return found


def write_org_run(folder: OrgRunFolder, maker: Maker, ended: bool = True) -> None:
    """The org run's journal and, if it has ended, its confirmations."""
    written = journal.FileJournal(folder.journal)
    for event in maker.play(ended):
        written.append(event)
    written.close()
    for confirmation in maker.confirmations() if ended else []:
        append_line(folder.confirmations, confirmation)


def terms(profiles: tuple[Profile, ...] = PROFILES, seeds: int = 1) -> RunTerms:
    names = tuple(profile.name for profile in profiles)
    return RunTerms(
        names, "ray", "nanogpt", "cpu-tiny", "stdlib", BUDGET_S / 3600, 2, 0, seeds, 4, "0", "metaloop run …"
    )


def write_run(
    path: Path,
    profiles: tuple[Profile, ...] = PROFILES,
    seeds: int = 1,
    ended: bool = True,
    budget_s: float = BUDGET_S,
) -> RunFolder:
    """A whole run's folder; with ``ended`` false the last org run is still under way."""
    folder = RunFolder(path)
    write_json(folder.terms, terms(profiles, seeds))
    for profile in profiles:
        write_organization(folder.organizations / profile.name, profile)
        for seed in range(seeds):
            last = profile is profiles[-1] and seed == seeds - 1
            write_org_run(
                folder.org_run(profile.name, seed), Maker(profile, seed, budget_s=budget_s), ended or not last
            )
    return folder


def write_organization(path: Path, profile: Profile) -> None:
    """A valid organization folder."""
    path.mkdir(parents=True)
    members = "".join(f"  - role: {role}\n    count: {count}\n" for role, count in (("tinkerer", 2), ("gatekeeper", 1)))
    (path / "ORG.md").write_text(
        f"---\nname: {profile.name}\ndescription: Made up for tests.\n"
        f"control: {str(profile.control).lower()}\nmembers:\n{members}---\n# Charter\n\nLower val bpb.\n"
    )
    (path / "tinkerer.md").write_text(
        f"---\nname: tinkerer\ndescription: Tries things.\norg:\n  kind: proposer\n  policy:\n"
        f"    boldness: {0.1 + profile.skill / 2:.3f}\n    strategy: local\n---\n# Tinkerer\n\nTry one thing.\n"
    )
    strategy = "greedy" if profile.merges else "never"
    (path / "gatekeeper.md").write_text(
        f"---\nname: gatekeeper\ndescription: Keeps what is better.\norg:\n  kind: merger\n  policy:\n"
        f"    strategy: {strategy}\n---\n# Gatekeeper\n\nKeep what is better.\n"
    )
