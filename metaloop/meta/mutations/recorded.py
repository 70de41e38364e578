"""A rewriter whose answers are kept: what was asked and paid once is answered from there when the loop is run again."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from metaloop.files.run_folder import read_json, write_json
from metaloop.meta.mutations.textual import Request, Rewriter, Rewriting, refusal
from metaloop.vocabulary.records import Cost

UNCHANGED = "it changes nothing"


class Rewritten(msgspec.Struct, frozen=True):
    """One request, what the rewriter made of it, and why that is not taken (empty: it is). ``diff`` is unified."""

    request: Request
    rewriting: Rewriting
    refusal: str
    diff: str


class RecordedRewriter:
    """Before another rewriter: one file for each answer in ``folder``.

    The n-th time that the very same is asked has a file of its own, as models do not answer the same twice. Where
    ``allowed`` says no, nobody is asked, and the prose stays as it is.
    """

    def __init__(self, inner: Rewriter, folder: Path, allowed: Callable[[], bool]) -> None:
        self._inner = inner
        self._folder = folder
        self._allowed = allowed
        self._asked = Counter[str]()

    def rewrite(self, request: Request) -> Rewriting:
        """The answer of old, or a new one, which is written down first."""
        identity = hashlib.sha256(msgspec.json.encode(request)).hexdigest()[:16]
        self._asked[identity] += 1
        path = self._folder / f"{request.role}-{identity}-{self._asked[identity]}.json"
        if path.exists():
            return read_json(path, Rewritten).rewriting
        if not self._allowed():
            return Rewriting(request.prose, Cost())
        rewriting = self._inner.rewrite(request)
        write_json(path, _record(request, rewriting))
        return rewriting


def rewritings(folder: Path) -> list[Rewritten]:
    """All that were paid for, by role and request."""
    return [read_json(path, Rewritten) for path in sorted(folder.glob("*.json"))]


def _record(request: Request, rewriting: Rewriting) -> Rewritten:
    old, new = request.prose, rewriting.prose
    against = UNCHANGED if new == old else refusal(old, new) or ""
    name = f"{request.role}.md"
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, n=2, lineterm="")
    return Rewritten(request, rewriting, against, "".join(f"{line}\n" for line in lines))
