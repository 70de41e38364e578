"""Source code in a conversation: the files as a model is shown them, and ready-made edits for models that cannot write.

A small model is offered edits as it is offered values of knobs: the target's own floating-point constants, doubled and
halved, a few at a time. It then chooses code without having to spell it.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence

from metaloop.vocabulary.code import Edit, diff_lines

FACTORS = (0.5, 2.0)
CODE_SHARE = 0.7
"""Most of a prompt's room that code takes; what was tried needs some too."""
CODE_HEADING = "## The code you may edit\n\n"


def shown(sources: Mapping[str, str], room: int) -> str:
    """The files whole, one after the other, as long as they fit; what is left out is named."""
    parts, left_out, used = [], [], len(CODE_HEADING)
    for path, text in sources.items():
        part = f"### {path}\n\n```python\n{text.rstrip()}\n```"
        if used + len(part) > room * CODE_SHARE:
            left_out.append(f"{path} ({len(text)} characters)")
        else:
            parts.append(part)
            used += len(part) + 2
    if left_out:
        parts.append(f"Left out, because there is no room: {', '.join(left_out)}.")
    return CODE_HEADING + "\n\n".join(parts)


def offered(edits: Sequence[Edit]) -> str:
    """Ready-made edits as a list."""
    lines = [f"- {edit.path}: `{edit.find.strip()}` becomes `{edit.replace.strip()}`" for edit in edits]
    return "## Edits of the code that you may choose\n\n" + "\n".join(lines)


def offers(sources: Mapping[str, str], count: int, turn: int) -> tuple[Edit, ...]:
    """``count`` ready-made edits; another stretch of them at every ``turn``."""
    every = [edit for path, text in sources.items() for edit in _constants(path, text)]
    if len(every) <= count:
        return tuple(every)
    first = turn * count
    return tuple(every[(first + place) % len(every)] for place in range(count))


def _constants(path: str, text: str) -> Iterator[Edit]:
    """Every floating-point constant doubled and halved; the passage is its line, where that is unique."""
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.NUMBER or not _is_real(token.string) or not float(token.string):
            continue
        row, column = token.start
        line = lines[row - 1]
        if text.count(line) != 1:
            continue
        for factor in FACTORS:
            value = f"{float(token.string) * factor:g}"
            new = value if _is_real(value) else f"{value}.0"
            yield Edit(path, line, f"{line[:column]}{new}{line[column + len(token.string) :]}")


def _is_real(literal: str) -> bool:
    return not literal.lower().startswith("0x") and any(mark in literal.lower() for mark in ".e")


def block(edit: Edit) -> str:
    """An edit as a reader sees it."""
    lines = "\n".join(diff_lines(edit))
    return f"{edit.path}\n```diff\n{lines}\n```"
