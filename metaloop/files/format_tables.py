"""The tables of ``docs/formats.md``, from the schema: ``python -m metaloop.files.format_tables docs/formats.md``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from metaloop.files import org_space, role_file
from metaloop.files.policies import NAME_LISTS, POLICIES
from metaloop.files.role_file import KINDS, bounds, show_value
from metaloop.vocabulary.space import Knob

_BLOCK = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Every table by the name that marks its place."""
    made = {
        "role-keys": _keys(role_file.TOP_KEYS),
        "role-org-keys": _keys(role_file.ORG_KEYS),
        "org-keys": _keys(org_space.TOP_KEYS),
        "org-settings": _knobs((*org_space.ORG_SPACE, org_space.CONTROL)),
        "member-keys": _keys(org_space.MEMBER_KEYS) + _member_knobs(),
    }
    for kind in KINDS:
        lists = [(f"`{name}`", "[]", "names", meaning) for name, meaning in NAME_LISTS[kind].items()]
        made[kind] = _knobs(POLICIES[kind]) + "".join(map(_row, lists))
    return made


def with_tables(text: str) -> str:
    """``text`` with the content of each ``<!-- table: NAME -->`` … ``<!-- end -->`` made anew."""
    made = tables()
    return _BLOCK.sub(lambda block: f"{block[1]}{made[block[2]]}{block[3]}", text)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _keys(keys: Mapping[str, str]) -> str:
    return "| key | meaning |\n| --- | --- |\n" + "".join(_row((f"`{key}`", about)) for key, about in keys.items())


def _member_knobs() -> str:
    knobs = org_space.MEMBER_SPACE
    return "".join(_row((f"`{k.name}`", f"{k.meaning} {bounds(k)}; default {show_value(k.default)}.")) for k in knobs)


def _knobs(knobs: Iterable[Knob]) -> str:
    rows = [(f"`{k.name}`", show_value(k.default), bounds(k), k.meaning) for k in knobs]
    return "| key | default | bounds | meaning |\n| --- | --- | --- | --- |\n" + "".join(map(_row, rows))


def main(path: Path) -> None:
    """Rewrite the tables of the file at ``path``."""
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
