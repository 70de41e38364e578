"""Which model answers for a member, how it is reached, and what it costs: the records of a models file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from metaloop.vocabulary.agents import HUMAN, AgentCard, HumanTerms
from metaloop.vocabulary.sources import NO_SOURCES, ScoutTerms

ReplyFormat = Literal["schema", "json", "text"]
"""What a server is asked for: constrained decoding to a JSON schema, any JSON object, or nothing."""


class ModelCard(msgspec.Struct, frozen=True):
    """One model as a server offers it. Only the name has to be given."""

    name: str
    served_as: str = ""
    """The id that the server knows it by; empty: ``name``."""
    base_url: str = ""
    """Where it is served; empty: the environment's ``OPENAI_BASE_URL``."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key. Keys themselves are never written down."""
    reply_format: ReplyFormat = "schema"
    usd_per_million_prompt: Annotated[
        float, Meta(ge=0, le=10_000, description="Dollars for a million tokens read.")
    ] = 0.0
    usd_per_million_reply: Annotated[float, Meta(ge=0, le=10_000, description="Dollars for a million written.")] = 0.0
    context_tokens: Annotated[int, Meta(ge=1024, le=10_000_000, description="What prompt and reply may hold.")] = 32_768
    reply_tokens: Annotated[int, Meta(ge=64, le=1_000_000, description="Most tokens of a reply.")] = 2048
    temperature: Annotated[float, Meta(ge=0, le=2, description="0: the likeliest reply.")] = 0.7
    timeout_s: Annotated[float, Meta(ge=0.1, le=3600, description="Seconds for one attempt, whole.")] = 120.0
    attempts: Annotated[int, Meta(ge=1, le=10, description="Tries where the server fails or says: later.")] = 4
    at_once: Annotated[
        int, Meta(ge=0, le=1000, description="Requests under way at once, of all members; 0: no limit.")
    ] = 0
    requests_per_minute: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Requests in any minute, of all members; 0: no limit.")
    ] = 0
    tokens_per_minute: Annotated[
        int, Meta(ge=0, le=1_000_000_000, description="Tokens in any minute, of all members; 0: no limit.")
    ] = 0
    values_shown: Annotated[
        int, Meta(ge=0, le=20, description="Values of a number that may be chosen; 0: any in its range.")
    ] = 0
    knobs_shown: Annotated[
        int, Meta(ge=0, le=100, description="Knobs that a proposer is offered at a time, in turns; 0: all.")
    ] = 0
    edits_shown: Annotated[
        int,
        Meta(ge=0, le=100, description="Ready-made edits of code that are offered, in turns; 0: free."),
    ] = 0
    text_chars: Annotated[int, Meta(ge=0, le=10_000, description="Most characters of a reason; 0: no limit.")] = 0
    latency_s: Annotated[float, Meta(ge=0, le=600, description="Simulated time: seconds before the first token.")] = 1.0
    tokens_per_s: Annotated[float, Meta(ge=0.1, le=1e6, description="Simulated time: tokens written a second.")] = 50.0

    def usd(self, prompt_tokens: int, reply_tokens: int) -> float:
        """Dollars for a call."""
        return (prompt_tokens * self.usd_per_million_prompt + reply_tokens * self.usd_per_million_reply) / 1e6


class Allowance(msgspec.Struct, frozen=True):
    """What thinking may cost; ``None``: no limit. What was asked is paid, so that the last answers may pass it."""

    tokens: int | None = None
    usd: float | None = None

    def spent(self, tokens: int, usd: float) -> bool:
        """Whether nothing is left."""
        return (self.tokens is not None and tokens >= self.tokens) or (self.usd is not None and usd >= self.usd)

    def less(self, tokens: int, usd: float) -> Allowance:
        """What is left of it."""
        return Allowance(
            None if self.tokens is None else max(0, self.tokens - tokens),
            None if self.usd is None else max(0.0, self.usd - usd),
        )

    def least(self, other: Allowance) -> Allowance:
        """The tighter of the two, field by field."""
        tokens = [value for value in (self.tokens, other.tokens) if value is not None]
        usd = [value for value in (self.usd, other.usd) if value is not None]
        return Allowance(min(tokens, default=None), min(usd, default=None))


class Thinkers(msgspec.Struct, frozen=True):
    """Who may decide for members besides scripted policies: what a models file holds."""

    models: tuple[ModelCard, ...] = ()
    agents: tuple[AgentCard, ...] = ()
    human: HumanTerms = HumanTerms()

    @property
    def names(self) -> tuple[str, ...]:
        """What a member's ``model`` may be."""
        return (*(card.name for card in self.models), *(card.name for card in self.agents), HUMAN)


class ThinkingTerms(msgspec.Struct, frozen=True):
    """What the model brains and scouts of an org run have to work with.

    ``transcripts`` is the folder that exchanges are written to, and read from again after a death; empty: none.
    ``limits`` is the folder by which all processes on this machine keep to a card's limits together; empty: none do.
    ``declared_time``: a decision takes the seconds that its model's card says (simulated time), not those that passed.
    """

    cards: tuple[ModelCard, ...] = ()
    transcripts: str = ""
    declared_time: bool = False
    limits: str = ""
    scouting: ScoutTerms = NO_SOURCES
    agents: tuple[AgentCard, ...] = ()
    repository: str = ""
    """The org run's git repository, which coding agents have worktrees of; empty: none."""
    worktrees: str = ""
    """The folder of those worktrees, one for each member."""
    questions: str = ""
    """The folder that questions to people are put into; empty: nobody is asked."""
    human: HumanTerms = HumanTerms()

    def card(self, model: str) -> ModelCard | None:
        """The card of that name."""
        return next((card for card in self.cards if card.name == model), None)

    def agent(self, name: str) -> AgentCard | None:
        """The coding agent of that name."""
        return next((card for card in self.agents if card.name == name), None)


UNLIMITED = Allowance()
NOBODY = Thinkers()
NO_MODELS = ThinkingTerms()
"""No model is at hand: all brains are scripted."""
