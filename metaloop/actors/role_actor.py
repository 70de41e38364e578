"""A member of an organization as an actor: a plain class that a backend may wrap in a process."""

from __future__ import annotations

from metaloop.actors.messages import Ask, Decided
from metaloop.brains.brain import Brain
from metaloop.brains.registry import make_brain
from metaloop.vocabulary.models import NO_MODELS, ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.space import Space


class RoleActor:
    """Hosts one member's brain. Its memory is what its observations told it, so a new one can be told again.

    A question may arrive twice, or after a later one. The brain is shown each once: told its news twice, it would
    remember what did not happen.
    """

    def __init__(
        self,
        member: Member,
        space: Space,
        seed: int,
        colleagues: tuple[Member, ...],
        thinking: ThinkingTerms = NO_MODELS,
    ) -> None:
        self._member = member
        self._space = space
        self._seed = seed
        self._colleagues = colleagues
        self._thinking = thinking
        self._brain = self._new_brain()
        self._latest: Decided | None = None

    def _new_brain(self) -> Brain:
        return make_brain(self._member, self._space, self._seed, self._colleagues, self._thinking)

    def handle(self, ask: Ask) -> Decided:
        """The member's decision on what it is asked; on what it was asked before, its latest decision once more.

        Decisions carry the number of their question, so whoever waits for another one knows what to ignore.
        """
        if self._latest is None or ask.ask > self._latest.ask:
            if ask.reborn:
                self._brain = self._new_brain()
            self._latest = Decided(ask.ask, ask.actor, self._brain.decide(ask.observation))
        return self._latest
