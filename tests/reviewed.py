"""Reading a diff as a reviewer would: a line on which no value changed must stand as it stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from yaml.nodes import MappingNode, Node

from metaloop.files.markdown import Document, Keys, plain

Leaves = dict[Keys, tuple[Any, int, int]]
"""Every scalar and list of a front matter by its path: the value, and the lines (from 0) from its key to its end."""


def leaves(document: Document) -> Leaves:
    return dict(_leaves(document.root, (), document))


def _leaves(node: Node, keys: Keys, document: Document) -> Iterator[tuple[Keys, tuple[Any, int, int]]]:
    for key, value in node.value:
        path = (*keys, key.value)
        if path == ("members",):
            for index, item in enumerate(value.value):
                yield from _leaves(item, (*path, index), document)
        elif isinstance(value, MappingNode) and value.value:
            yield from _leaves(value, path, document)
        else:
            yield path, (plain(value), key.start_mark.line, _last_line(value))


def _last_line(node: Node) -> int:
    """PyYAML ends a block list only at the next token; its last item knows better."""
    if isinstance(node.value, list) and node.value and not getattr(node, "flow_style", False):
        return _last_line(node.value[-1])
    return int(node.end_mark.line)


def unexplained(old: Document, new: Document, origin: Sequence[int | None]) -> list[str]:
    """Lines of the old text that read otherwise in the new one though every value on them is the same.

    ``origin`` says which entry of ``members`` an entry of the new one was.
    """
    before, after = leaves(old), leaves(new)
    moved = {was: now for now, was in enumerate(origin) if was is not None}
    pairs = {keys: _moved(keys, moved) for keys in before}
    kept = {keys: pairs[keys] for keys in before if pairs[keys] in after and after[pairs[keys]][0] == before[keys][0]}
    touched_old = _lines_of(before, [keys for keys in before if keys not in kept])
    touched_new = _lines_of(after, [keys for keys in after if keys not in kept.values()])
    old_lines, new_lines = old.text[old.yaml_start :].split("\n"), new.text[new.yaml_start :].split("\n")
    found: list[str] = []
    for keys, now in kept.items():
        was_at, is_at = range(before[keys][1], before[keys][2] + 1), range(after[now][1], after[now][2] + 1)
        if touched_old & set(was_at) or touched_new & set(is_at):
            continue
        if [old_lines[n] for n in was_at] != [new_lines[n] for n in is_at]:
            found.append(f"{keys}: {[old_lines[n] for n in was_at]} -> {[new_lines[n] for n in is_at]}")
    return found


def lost_lines(old: Document, new: Document, origin: Sequence[int | None]) -> list[str]:
    """Comment lines of the old text that the new one lacks, though they stood in nothing that was taken out."""
    moved = {was: now for now, was in enumerate(origin) if was is not None}
    before, after = leaves(old), leaves(new)
    gone = [
        keys for keys in before if _moved(keys, moved) not in after or after[_moved(keys, moved)][0] != before[keys][0]
    ]
    excused = {n for keys in gone for n in range(before[keys][1], before[keys][2] + 1)}
    excused |= {n for index in range(len(old.data["members"])) if index not in moved for n in _entry(before, index)}
    excused |= {n for block in _emptied(before, gone, after, moved) for n in block}
    left = [line for line in new.text[new.yaml_start : new.yaml_end].split("\n") if _is_comment(line)]
    found: list[str] = []
    for number, line in enumerate(old.text[old.yaml_start : old.yaml_end].split("\n")):
        if _is_comment(line) and number not in excused:
            if line in left:
                left.remove(line)
            else:
                found.append(line)
    return found


def _emptied(before: Leaves, gone: Sequence[Keys], after: Leaves, moved: dict[int, int]) -> list[range]:
    """The lines of mappings of which nothing is left: what was said between their entries was said of them."""
    absent = {keys for keys in gone if _moved(keys, moved) not in after}
    found = []
    for holder in {keys[:-1] for keys in absent if len(keys) > 1}:
        inside = [keys for keys in before if keys[: len(holder)] == holder]
        if holder[-1] != "members" and not isinstance(holder[-1], int) and set(inside) <= absent:
            lines = [n for keys in inside for n in before[keys][1:]]
            found.append(range(min(lines), max(lines) + 1))
    return found


def _entry(found: Leaves, index: int) -> range:
    spans = [(first, last) for keys, (_, first, last) in found.items() if keys[:2] == ("members", index)]
    return range(min(first for first, _ in spans), max(last for _, last in spans) + 1)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _moved(keys: Keys, moved: dict[int, int]) -> Keys:
    if keys[0] != "members" or len(keys) < 2:
        return keys
    return ("members", moved.get(int(keys[1]), -1), *keys[2:])


def _lines_of(found: Leaves, keys: Sequence[Keys]) -> set[int]:
    return {n for key in keys for n in range(found[key][1], found[key][2] + 1)}
