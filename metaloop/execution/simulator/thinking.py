"""What a decision costs when a model makes it: latency, tokens and dollars on top of what the member declares."""

from __future__ import annotations

import math

import msgspec

from metaloop.actors.messages import Ask, Decided
from metaloop.execution.simulator.cluster import Thinking
from metaloop.vocabulary.records import Cost
from metaloop.vocabulary.seeds import python_stream


class Thoughts:
    """Charges decisions. The latency of a member's n-th decision is its own draw, whatever others do."""

    def __init__(self, thinking: Thinking, seed: int) -> None:
        self._thinking = thinking
        self._seed = seed
        self._medians = {
            "propose": thinking.propose_s,
            "review": thinking.review_s,
            "judge": thinking.judge_s,
            "standup": thinking.standup_s,
        }
        self._free = not (any(self._medians.values()) or thinking.tokens)

    def charge(self, ask: Ask, decided: Decided) -> Decided:
        """The decision with its cost raised to what the cluster's description says of thinking."""
        if self._free or ask.observation.question == "scout":  # a scout asks no model
            return decided
        thinking, declared = self._thinking, decided.decision.cost
        seconds = self._medians[ask.observation.question]
        if seconds and thinking.spread:
            rng = python_stream(self._seed, "sim-thinking", ask.actor, ask.observation.index)
            seconds *= math.exp(rng.gauss(0.0, thinking.spread))
        cost = Cost(
            seconds=declared.seconds + seconds,
            tokens=declared.tokens + thinking.tokens,
            usd=declared.usd + thinking.tokens * thinking.usd_per_million_tokens / 1e6,
        )
        return msgspec.structs.replace(decided, decision=msgspec.structs.replace(decided.decision, cost=cost))
