"""Where scouts look for ideas: the records of a sources file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SourceKind = Literal["arxiv", "github", "feed", "folder"]
"""arXiv's query API, GitHub's search API, an RSS or Atom feed, or a folder of notes."""


class Source(msgspec.Struct, frozen=True):
    """One place to look. Only name, kind and address have to be given; the address of a folder is its path."""

    name: str
    kind: SourceKind
    address: str
    key_variable: str = ""
    """The environment variable that holds a token. Tokens themselves are never written down."""
    interval_s: Annotated[float, Meta(ge=0, le=3600, description="Seconds between two requests to its host.")] = 3.0
    cache_s: Annotated[float, Meta(ge=0, le=1e8, description="Age up to which a cached reply is good as it is.")] = (
        86_400.0
    )
    timeout_s: Annotated[float, Meta(ge=0.1, le=600, description="Seconds for one attempt, whole.")] = 20.0
    attempts: Annotated[int, Meta(ge=1, le=10, description="Tries where the server fails or says: later.")] = 3
    most: Annotated[int, Meta(ge=1, le=100, description="Hits asked for at a time.")] = 20


class ScoutTerms(msgspec.Struct, frozen=True):
    """What the scouts of an org run have to work with.

    ``cache`` is the folder that replies are kept in, and that paces requests over all processes of a machine; empty:
    nothing is kept, and each process paces its own. ``live``: the network may be asked; in simulated time only folders
    are read.
    """

    sources: tuple[Source, ...] = ()
    cache: str = ""
    live: bool = True


NO_SOURCES = ScoutTerms()
"""There is nowhere to look."""
