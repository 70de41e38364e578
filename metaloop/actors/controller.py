"""The controller of an org run: it orders all events, writes the journal, and says what happens next.

A plain synchronous class: :meth:`handle` takes a message and the time and returns commands. Whatever it decides
follows from the state, and the state is a replay of the journal, so a new controller over an old journal goes on
where the last one died. Only the outstanding asks are not journaled: nobody has acted on them, they are asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloop.actors import judging, lessons, proposing, reviewing, scouting
from metaloop.actors.bench import Bench
from metaloop.actors.canaries import Canaries
from metaloop.actors.devices import Devices
from metaloop.actors.entries import INTERRUPTED
from metaloop.actors.integrating import Integrator
from metaloop.actors.messages import (
    ActorLost,
    Command,
    Decided,
    DeviceLeaving,
    DeviceLost,
    DeviceReady,
    DevicesAre,
    Drain,
    GiveBack,
    IdeaArrived,
    Message,
    Train,
    Trained,
    Wake,
    Woken,
)
from metaloop.actors.reviewing import ReviewDesk
from metaloop.actors.run_context import Asked, RunContext
from metaloop.actors.screening import stop_rule
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import texts_of
from metaloop.vocabulary.decisions import Decision, Refuse, StandUp
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import training_seed

MOST_LOSSES = 2
"""An experiment whose device dies this often is a crash: more likely its own doing than the machine's."""

ROUNDING = 1e-9
"""Relative: by this much the timer for the end of the budget comes late, so that it never comes a rounding early."""


class Controller:
    """One org run. Feed it messages until :attr:`ended`."""

    def __init__(self, context: RunContext) -> None:
        self._run = context
        self._devices = Devices(context.state)
        self._canaries = Canaries(context, context.canary_terms)
        self._reviews = ReviewDesk(context)
        self._bench = Bench(context)
        self._integrator = Integrator(context)
        self._standup: StandUp | None = None
        self._led = True
        self._draining = False
        self._rules: dict[type, Callable[[Any, float], None]] = {
            Decided: self._take_decision,
            ActorLost: self._take_death,
            Trained: self._take_result,
            DeviceLost: self._take_loss,
            DeviceLeaving: self._devices.leaving,
            DeviceReady: self._take_return,
            DevicesAre: context.equip,
            IdeaArrived: self._take_idea,
            Woken: self._wake,
            Drain: self._drain,
        }

    @property
    def ended(self) -> bool:
        return self._run.state.ended

    @property
    def held(self) -> frozenset[str]:
        """Devices that the run pays for."""
        return frozenset(self._run.state.ledger.held)

    @property
    def drained(self) -> bool:
        """Whether nothing more will come of going on: it was told to drain, and nothing is in training."""
        return self._draining and not self._run.state.running and not self._run.state.canaries.running

    def start(self, terms: ev.RunStarted) -> list[Command]:
        """Begin a new org run at ``terms.t``."""
        self._run.record(terms)
        for device in terms.devices:
            self._run.record(ev.Reserved(terms.t, device))
        self._devices.offer_idle()
        lessons.hand_out(self._run, terms.t)
        proposing.measure_trunk(self._run, terms.t)
        self._wake_at_the_end(terms.t)
        return self._go_on(terms.t)

    def resume(self, died_at: float) -> list[Command]:
        """Take up a run whose process died at about ``died_at``; the run's clock goes on from there."""
        run = self._run
        started = run.state.started
        assert started is not None
        run.record(ev.Interrupted(died_at))
        for device, experiment in sorted(run.state.running.items()):
            attempt = run.state.experiments[experiment].attempt
            run.record(ev.Lost(died_at, experiment, device, attempt, INTERRUPTED))
        for device in started.devices:
            run.record(ev.Reserved(died_at, device))
        self._devices.offer_idle()
        self._wake_at_the_end(died_at)
        return self._go_on(died_at)

    def handle(self, message: Message, now: float) -> list[Command]:
        """What follows from ``message``; nothing, once the run has ended."""
        if self._run.state.ended:
            return []
        self._rules[type(message)](message, now)
        return [] if self._draining or isinstance(message, DeviceLeaving) else self._go_on(now)

    def _take_decision(self, message: Decided, now: float) -> None:
        asked = self._run.asked.get(message.actor)
        if asked is not None and asked.ask == message.ask:
            self._run.answered(message.actor)
            self._decided(asked, message.decision, now)

    def _drain(self, _message: Drain, _now: float) -> None:
        self._draining = True

    def _take_death(self, message: ActorLost, now: float) -> None:
        """A death is news unless it names a question that is no longer open: that one has been asked again."""
        asked = self._run.asked.get(message.actor)
        if message.ask is None or (asked is not None and asked.ask == message.ask):
            self._run.lose_actor(message.actor, message.reason, now)

    def _take_result(self, message: Trained, now: float) -> None:
        if self._canaries.take(message, now):
            self._took_canary(message.device, now)
            return
        state = self._run.state.experiments.get(message.experiment)
        if state is None or state.device != message.device or state.attempt != message.attempt:
            return
        self._run.record(ev.Finished(now, message.experiment, message.device, message.attempt, message.result))
        self._devices.offer(message.device)

    def _took_canary(self, device: str, now: float) -> None:
        self._devices.offer(device)
        if device in self._run.state.canaries.set_aside:
            self._wake_at_the_end(now)  # later than it was: fewer devices spend the budget

    def _take_loss(self, message: DeviceLost, now: float) -> None:
        if self._devices.lost(message):
            self._lose_training(message.device, message.reason, now)

    def _take_return(self, message: DeviceReady, now: float) -> None:
        """The device can be used again; what it trained in an earlier life is lost, even if nobody has said so yet."""
        if self._devices.ready(message) and message.life is not None:
            self._lose_training(message.device, "its process was replaced", now)
            self._devices.offer(message.device)

    def _lose_training(self, device: str, reason: str, now: float) -> None:
        if self._canaries.lose(device, reason, now):
            self._took_canary(device, now)
        experiment = self._run.state.running.get(device)
        if experiment is None:
            return
        state = self._run.state.experiments[experiment]
        if state.losses + 1 >= MOST_LOSSES:
            result = TrainingResult("crash", now - state.started, message=f"its device died twice: {reason}")
            self._run.record(ev.Finished(now, experiment, device, state.attempt, result))
        else:
            self._run.record(ev.Lost(now, experiment, device, state.attempt, reason))

    def _take_idea(self, message: IdeaArrived, now: float) -> None:
        if message.idea.id not in self._run.state.all_ideas:
            self._run.record(ev.IdeaAdded(now, message.idea))

    def _wake(self, _message: Woken, _now: float) -> None:
        """Being awake is all: whatever is due follows from the state."""

    def _decided(self, asked: Asked, decision: Decision, now: float) -> None:
        if isinstance(decision, Refuse):
            self._refused(asked, decision, now)
        elif asked.question == "propose":
            proposing.take_proposal(self._run, asked, decision, now)
        elif asked.question == "review":
            reviewing.take_review(self._run, asked, decision, now)
        elif asked.question == "judge":
            judging.take_verdict(self._run, asked, decision, now)
        elif asked.question == "scout":
            scouting.take_found(self._run, asked, decision, now)
        elif isinstance(decision, StandUp):
            self._hold_standup(decision, led=True)

    def _refused(self, asked: Asked, refusal: Refuse, now: float) -> None:
        self._run.refuse(asked, refusal, now)
        if asked.question == "propose":
            proposing.rest(self._run, asked.member.name, now)
        elif asked.question == "standup":
            self._hold_standup(StandUp({}, "the director gave no usable answer"), led=False)

    def _hold_standup(self, meeting: StandUp, *, led: bool) -> None:
        self._standup, self._led = meeting, led
        self._run.out.append(Wake(self._standup_ends()))

    def _standup_ends(self) -> float:
        began = self._run.state.standup_since
        assert began is not None
        return began + self._run.organization.cadence.standup_seconds

    def _end_standup(self, now: float) -> None:
        """End the stand-up once it has lasted as long as the organization says (at once, if nobody leads it)."""
        run = self._run
        director = run.of_kind("director")[0].name
        meeting = self._standup
        if meeting is None and run.retired(director):
            meeting, self._led = StandUp({}, "the director is gone"), False
        elif meeting is None or now < self._standup_ends():
            return
        self._standup = None
        run.record(ev.StandUpEnded(now, director, meeting.steering, meeting.minutes, meeting.cost, self._led))

    def _go_on(self, now: float) -> list[Command]:
        """Do everything that the state now calls for, and hand over the commands."""
        run = self._run
        state = run.state
        if state.standup_since is not None:
            self._end_standup(now)
        exhausted = run.share(now) >= 1.0
        if exhausted:
            self._wind_up(now)
        else:
            if run.organization.cadence.standup_every:
                self._stand_up(now)
            if run.organization.branching == "teams":
                self._integrator.integrate(now)
            self._reviews.settle(now)
        self._bench.pump(now, exhausted)
        if not exhausted:
            scouting.ask_scouts(run, now)
        if not exhausted and state.standup_since is None:
            self._dispatch(now)
            proposing.ask_proposers(run, now, self._devices.free())
        if exhausted:
            self._end_if_done(now)
        if not (state.running or run.asked or state.ended):
            run.out.append(Wake(now + proposing.REST_S))
        commands, run.out = run.out, []
        return commands

    def _wake_at_the_end(self, now: float) -> None:
        """Be awake when the budget is spent: while everybody waits for one slow thinker, no message comes in."""
        ledger = self._run.state.ledger
        left = max(0.0, ledger.budget_s - ledger.spent_s(now))
        if ledger.held:
            self._run.out.append(Wake((now + left / ledger.rate) * (1.0 + ROUNDING)))

    def _dispatch(self, now: float) -> None:
        run = self._run
        while (experiment := run.state.queue.peek()) is not None:
            device = self._devices.next_free()
            if device is None:
                return
            if self._canaries.wanted and self._canaries.due(device, now):
                self._canaries.begin(device, now)
                continue
            stop = stop_rule(run.state, experiment)
            attempt = run.state.experiments[experiment.id].attempt + 1
            run.record(ev.Started(now, experiment.id, device, attempt, stop))
            seed = training_seed(run.seed, experiment.repeat)
            code = texts_of(experiment.config, run.state.sources)
            request = TrainingRequest(experiment.config, seed, stop=stop, code=code)
            run.out.append(Train(device, experiment, attempt, request))

    def _stand_up(self, now: float) -> None:
        run = self._run
        cadence, directors = run.organization.cadence, run.of_kind("director")
        if not directors or run.retired(directors[0].name):
            return
        due = run.state.finished - run.state.standup_at >= cadence.standup_every
        if run.state.standup_since is None and due:
            run.record(ev.StandUpBegan(now, directors[0].name))
        if run.state.standup_since is not None and self._standup is None:
            run.ask(directors[0], "standup", now)

    def _wind_up(self, now: float) -> None:
        """The budget is spent: nothing new is started, idle devices go back."""
        run = self._run
        for experiment in run.state.queue.snapshot() if run.state.queue else ():
            run.record(ev.Dropped(now, experiment.id, self._over))
        for device in sorted(run.state.idle, key=run.state.ranks.__getitem__):
            run.record(ev.Released(now, device))
            run.out.append(GiveBack(device))

    def _end_if_done(self, now: float) -> None:
        run = self._run
        if run.state.ledger.held or judging.undecided(run) or judging.held(run):
            return
        run.record(ev.RunEnded(now, self._over))

    @property
    def _over(self) -> str:
        """Why it ends."""
        run = self._run
        early = run.thought_enough and run.state.ledger.share(run.state.now) < 1.0
        return "the tokens or dollars for thinking were spent" if early else "the budget was spent"
