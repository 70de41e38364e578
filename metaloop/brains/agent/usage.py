"""What a command says it used, and what it said last."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from metaloop.brains.agent.workplace import read_text
from metaloop.brains.model.chat import CHARS_A_TOKEN, UNREADABLE
from metaloop.vocabulary.agents import AgentCard

MOST_TOKENS = 10**10
MOST_USD = 1e6
Tokens = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
Usd = Annotated[float, Meta(ge=0, le=MOST_USD)]


class Usage(msgspec.Struct, frozen=True):
    """Of one call. It is also what a command writes into ``{usage_file}``; ``usd`` absent: the card's prices hold."""

    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    usd: Usd | None = None


class _ClaudeUsage(msgspec.Struct, frozen=True):
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cache_creation_input_tokens: Tokens = 0
    cache_read_input_tokens: Tokens = 0


class _ClaudeResult(msgspec.Struct, frozen=True, tag="result", tag_field="type"):
    """The part that is read of what ``claude -p --output-format json`` prints
    (https://docs.claude.com/en/docs/claude-code/headless)."""

    result: str = ""
    is_error: bool = False
    total_cost_usd: Usd | None = None
    usage: _ClaudeUsage = _ClaudeUsage()


class Told(msgspec.Struct, frozen=True):
    """What came of a call: its last words, what it used, and what it says went wrong."""

    text: str
    usage: Usage
    problem: str = ""


def told(card: AgentCard, prompt: str, out: str, usage_file: Path) -> Told:
    """Read what the card says there is; tokens that are not told are estimated, so that an allowance still ends."""
    if card.usage == "claude":
        result = _claude(out)
        if result is not None:
            used = result.usage
            read = used.input_tokens + used.cache_creation_input_tokens + used.cache_read_input_tokens
            wrong = f"it says that it failed: {result.result[:200]}" if result.is_error else ""
            return Told(result.result, Usage(read, used.output_tokens, result.total_cost_usd), wrong)
    elif card.usage == "file":
        try:
            return Told(out, msgspec.json.decode(read_text(usage_file) or "", type=Usage))
        except UNREADABLE:
            pass
    else:
        return Told(out, Usage())
    return Told(out, Usage(len(prompt) // CHARS_A_TOKEN + 1, len(out) // CHARS_A_TOKEN + 1))


def _claude(out: str) -> _ClaudeResult | None:
    """The result object: all of the output, or its last line that is one."""
    for text in (out, *reversed(out.splitlines())):
        try:
            return msgspec.json.decode(text, type=_ClaudeResult)
        except UNREADABLE:
            continue
    return None
