"""Members that are no model behind a server: coding agents that run as commands, and people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

HUMAN = "human"
"""The ``model`` of a member that is a person."""

UsageReport = Literal["none", "claude", "file"]
"""How a command tells what it used: not at all, as ``claude -p --output-format json`` prints it, or in a file."""

PLACEHOLDERS = ("prompt", "prompt_file", "answer_file", "usage_file", "question", "member", "python", "here")
"""What a command's arguments may hold in braces. ``here``, the folder of the models file, is filled in when that is
read; all others when the command is run."""
_MARK = re.compile(r"\{([a-z_]+)\}")


def placeholders(part: str) -> list[str]:
    """Names in braces in one argument."""
    return _MARK.findall(part)


def fill(part: str, values: Mapping[str, object]) -> str:
    """One argument with its placeholders filled in, all at once: a value that has braces is left alone."""
    return _MARK.sub(lambda mark: str(values.get(mark[1], mark[0])), part)


class AgentCard(msgspec.Struct, frozen=True):
    """One command that decides for members. A command without ``{prompt}`` and ``{prompt_file}`` gets the prompt on its
    standard input."""

    name: str
    command: tuple[str, ...]
    pass_variables: tuple[str, ...] = ()
    """Environment variables that the command may have besides :data:`PLAIN_VARIABLES`. Their values are secrets."""
    droppings: tuple[str, ...] = ()
    """Names (with ``*``) of files and folders that it leaves behind and that mean nothing."""
    usage: UsageReport = "none"
    usd_per_million_prompt: Annotated[
        float, Meta(ge=0, le=10_000, description="Dollars for a million tokens read, where it names no dollars.")
    ] = 0.0
    usd_per_million_reply: Annotated[float, Meta(ge=0, le=10_000, description="Dollars for a million written.")] = 0.0
    timeout_s: Annotated[float, Meta(ge=0.1, le=86_400, description="Seconds for one call, all of it.")] = 600.0
    processes: Annotated[int, Meta(ge=1, le=100_000, description="Processes at a time.")] = 256
    file_mb: Annotated[float, Meta(ge=0.01, le=1e6, description="Size of any file that it writes (MB).")] = 256.0
    memory_mb: Annotated[
        float, Meta(ge=16, le=1e7, description="Memory of a process, and of all of them together (MB).")
    ] = 8192.0
    prompt_chars: Annotated[
        int, Meta(ge=2000, le=10_000_000, description="Characters of a prompt; history gives way.")
    ] = 60_000
    seconds: Annotated[float, Meta(ge=0, le=86_400, description="Simulated time: seconds of one call.")] = 60.0

    def usd(self, prompt_tokens: int, reply_tokens: int) -> float:
        """Dollars for tokens, where the command itself names none."""
        return (prompt_tokens * self.usd_per_million_prompt + reply_tokens * self.usd_per_million_reply) / 1e6


PLAIN_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ")
"""The environment of every command. It holds no keys."""


class HumanTerms(msgspec.Struct, frozen=True):
    """How long people are waited for."""

    deadline_s: Annotated[
        float, Meta(ge=0.1, le=604_800, description="Seconds after which the organization goes on without an answer.")
    ] = 600.0
