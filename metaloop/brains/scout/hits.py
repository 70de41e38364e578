"""What a source's reply says: hits with title, text and link, as plain, bounded data; or one error.

Whatever is in a reply was written by strangers. Markup, control characters and quotes are taken out, so that a hit
stays one quoted line wherever it is shown; links are http or nothing.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from metaloop.vocabulary.errors import SourceError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_TITLE = 200
MOST_TEXT = 500
"""Characters of a hit's title and text: with its separator an idea fits the 600 that a prompt shows of it."""
MOST_RAW = 20_000
"""Characters of a text that are looked at."""
MOST_LINK = 500
MOST_HITS = 200
_TAG = re.compile(r"<[^<>]{0,1000}>")


class Hit(msgspec.Struct, frozen=True):
    """One thing found. ``raw`` is the text before it was made plain and short: code in it may name values."""

    title: str
    text: str = ""
    link: str = ""
    raw: str = ""


def hit(title: str, text: str, link: str) -> Hit | None:
    """A hit of raw texts; ``None`` where there is no title to tell it by."""
    raw = text[:MOST_RAW]
    shown = plain(title, MOST_TITLE).replace(" – ", " - ")
    return Hit(shown, plain(raw, MOST_TEXT), safe_link(link), raw) if shown else None


def plain(text: str, most: int) -> str:
    """One line without markup, control characters or double quotes, of at most ``most`` characters."""
    text = html.unescape(_TAG.sub(" ", text[:MOST_RAW]))
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join(kept.replace('"', "'").split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def safe_link(link: str) -> str:
    """The link where it is a whole http address without anything odd in it; else an empty string."""
    link = link.strip()
    good = re.fullmatch(r"https?://[^\s\"'<>\\@]+", link) and link.isascii() and link.isprintable()
    return link if good and len(link) <= MOST_LINK else ""


def read_feed(body: bytes) -> list[Hit]:
    """The entries of an Atom feed (RFC 4287; arXiv's replies are such) or an RSS one (0.9 to 2.0).

    Raises:
        SourceError: it is no XML, holds a DTD or entities, or is no feed.
    """
    from xml.etree.ElementTree import ParseError

    import defusedxml.ElementTree as safe

    try:
        root = safe.fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError, RecursionError) as error:  # defusedxml's own are ValueErrors
        raise SourceError(f"its reply is no XML that is taken: {_told(error)}") from None
    if _local(root) not in ("feed", "rss", "RDF"):
        raise SourceError(f"its reply is no feed: <{_local(root)[:40]}>")
    entries = (element for element in root.iter() if _local(element) in ("entry", "item"))
    return _hits(_entry(element) for element in entries)


def _hits(found: Iterable[Hit | None]) -> list[Hit]:
    return [one for one in found if one is not None][:MOST_HITS]


def _entry(element: Element) -> Hit | None:
    fields: dict[str, str] = {}
    links: list[str] = []
    for child in element:
        name, text = _local(child), "".join(child.itertext())
        fields.setdefault(name, text)
        if name == "link" and child.get("rel", "alternate") == "alternate":
            links.append(child.get("href") or text)
    if fields.get("title", "").strip() == "Error" and "/api/errors" in fields.get("id", ""):
        raise SourceError(f"it says: {plain(fields.get('summary', ''), 100)}")  # how arXiv's API tells a bad query
    link = next((one for one in [*links, fields.get("id", ""), fields.get("guid", "")] if safe_link(one)), "")
    text = next((fields[name] for name in ("summary", "description", "encoded", "content") if name in fields), "")
    return hit(fields.get("title", ""), text, link)


def _local(element: Element) -> str:
    """The tag without its namespace; comments and the like have none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


class _Repository(msgspec.Struct, frozen=True):
    full_name: str = ""


class _Item(msgspec.Struct, frozen=True):
    """A repository, an issue or a file, as far as it is read (https://docs.github.com/rest/search/search)."""

    html_url: str
    full_name: str | None = None
    description: str | None = None
    title: str | None = None
    body: str | None = None
    path: str | None = None
    repository: _Repository = _Repository()


class _Search(msgspec.Struct, frozen=True):
    items: Annotated[tuple[_Item, ...], Meta(max_length=1000)]


def read_search(body: bytes) -> list[Hit]:
    """The hits of a GitHub search.

    Raises:
        SourceError: it is no JSON of that shape.
    """
    try:
        items = msgspec.json.decode(body, type=_Search).items
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SourceError(f"its reply is no search result: {_told(error)}") from None
    return _hits(_item(item) for item in items)


def _item(item: _Item) -> Hit | None:
    title = item.full_name or item.title or f"{item.repository.full_name} {item.path or ''}"
    return hit(title, item.description or item.body or "", item.html_url)


def _told(error: Exception) -> str:
    return plain(str(error) or type(error).__name__, 120)


READERS: Mapping[str, Callable[[bytes], list[Hit]]] = MappingProxyType(
    {"arxiv": read_feed, "feed": read_feed, "github": read_search}
)
"""How the reply of each kind of source is read."""


def parameters(kind: str, query: str, most: int) -> dict[str, Any]:
    """What a source of this kind is asked for a query; a feed is asked for all it has.

    arXiv: https://info.arxiv.org/help/api/user-manual.html; a query with a field prefix (``ti:muon``) is sent as it is.
    """
    if kind == "arxiv":
        asked = query if ":" in query else " AND ".join(f"all:{word}" for word in query.split())
        return {"search_query": asked, "start": 0, "max_results": most, "sortBy": "relevance"}
    return {"q": query, "per_page": most} if kind == "github" else {}
