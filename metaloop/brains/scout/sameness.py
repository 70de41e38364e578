"""Whether an idea is in the queue already: the same link, the same title, nearly the same words, the same changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import parse_qsl, urlencode, urlsplit

from metaloop.vocabulary.records import Idea, canonical

BETWEEN = " – "
"""Between an idea's title and its text."""
ALIKE = 0.7
"""Least Jaccard similarity of the word pairs of two texts that say nearly the same (Broder, "On the resemblance and
containment of documents", 1997, with pairs for shingles, as ideas are short)."""
LEAST_WORDS = 8
"""Shorter texts are compared by title and link only."""
_WORDS = re.compile(r"\w+")
_VERSION = re.compile(r"(/(?:abs|pdf|html)/.+?)(?:v\d+)?(?:\.pdf)?$")


class Known:
    """The ideas that are known, by all that makes a second one the same."""

    def __init__(self, ideas: Iterable[Idea] = ()) -> None:
        self._marks: set[str] = set()
        self._texts: list[frozenset[tuple[str, str]]] = []
        for idea in ideas:
            self.add(idea)

    def has(self, idea: Idea) -> bool:
        """Whether an idea like this one is known."""
        if not self._marks.isdisjoint(_marks(idea)):
            return True
        pairs = _pairs(idea.text)
        return bool(pairs) and any(_alike(pairs, other) >= ALIKE for other in self._texts)

    def add(self, idea: Idea) -> None:
        """It is known from now on."""
        self._marks.update(_marks(idea))
        pairs = _pairs(idea.text)
        if pairs:
            self._texts.append(pairs)


def fresh_ideas(known: Iterable[Idea], found: Iterable[Idea]) -> list[Idea]:
    """Those of ``found`` that are like no known idea, and like none before them."""
    seen, fresh = Known(known), list[Idea]()
    for idea in found:
        if not seen.has(idea):
            seen.add(idea)
            fresh.append(idea)
    return fresh


def _marks(idea: Idea) -> set[str]:
    title = " ".join(_words(idea.text.split(BETWEEN)[0]))
    marks = {f"id {idea.id}", f"title {title}"}
    if idea.link:
        marks.add(f"link {same_link(idea.link)}")
    if idea.changes:
        marks.add(f"changes {canonical(idea.changes)}")
    return marks


def same_link(link: str) -> str:
    """A link without what makes no other page: scheme, ``www.``, fragment, tracking, a paper's version or format."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return link
    query = urlencode(sorted((k, v) for k, v in parse_qsl(parts.query) if not k.startswith("utm_")))
    path = parts.path.rstrip("/")
    host = parts.netloc.lower().removeprefix("www.").removeprefix("export.")
    if host == "arxiv.org":
        path = re.sub(r"^/(pdf|html)/", "/abs/", _VERSION.sub(r"\1", path))
    return f"{host}{path}{'?' if query else ''}{query}"


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    words = _words(text)
    return frozenset(pairwise(words)) if len(words) >= LEAST_WORDS else frozenset()


def _alike(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> float:
    return len(one & other) / len(one | other)
