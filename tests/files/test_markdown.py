"""Byte-exact reading, and edits that touch only their own lines."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.files.markdown import MAX_BYTES, Document, Keys, parse, read
from metaloop.files.markdown_edit import insert, remove, same, set_value, with_body
from metaloop.vocabulary.errors import FileError, RoleFileError

TEXT = """\
---
# at the top
name: x        # the name
quoted: 'it''s'
double: "a: b"
empty:
org:
  policy:      # the genome
    a: 0.2     # a comment
    focus: [o, s]  # groups
    steps:
      - one    # first
      # about the second
      - two
members:
  # the first
  - role: p    # r
    count: 2

  - role: q
    policy: {a: 1, b: 2}
  - {role: z}
prose: |
  hello
  world

# at the end
---
# Body

--- not front matter
"""
PATH = Path("x.md")


def document(text: str = TEXT) -> Document:
    return parse(text, PATH)


def changed_lines(old: str, new: str) -> tuple[list[str], list[str]]:
    """Lines taken out and put in."""
    diff = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[:2] in ("- ", "+ ")]
    return [line[2:] for line in diff if line[0] == "-"], [line[2:] for line in diff if line[0] == "+"]


def test_reads_values_lines_and_body():
    read_document = document()
    assert read_document.data["org"]["policy"] == {"a": 0.2, "focus": ["o", "s"], "steps": ["one", "two"]}
    assert read_document.line("members", 1, "policy", "b") == 21
    assert read_document.line("org", "policy") == 8
    assert read_document.line("org", "absent") == 7
    assert read_document.body == "# Body\n\n--- not front matter\n"
    assert read_document.text == TEXT


@pytest.mark.parametrize(
    ("keys", "value", "out", "into"),
    [
        (("name",), "y z", ["name: x        # the name"], ["name: y z        # the name"]),
        (("quoted",), "that's", ["quoted: 'it''s'"], ["quoted: 'that''s'"]),
        (("double",), "c", ['double: "a: b"'], ['double: "c"']),
        (("empty",), 3, ["empty:"], ["empty: 3"]),
        (("org", "policy", "a"), 1e-5, ["    a: 0.2     # a comment"], ["    a: 1.0e-05     # a comment"]),
        (("org", "policy", "focus"), ["o"], ["    focus: [o, s]  # groups"], ["    focus: [o]  # groups"]),
        (("org", "policy", "new"), True, [], ["    new: true"]),
        (("org", "policy", "steps"), ["one", "yes"], ["      - two"], ['      - "yes"']),
        (("members", 0, "count"), 3, ["    count: 2"], ["    count: 3"]),
        (("members", 0, "policy", "b"), 0.5, [], ["    policy: {b: 0.5}"]),
        (("members", 1, "policy", "b"), 5, ["    policy: {a: 1, b: 2}"], ["    policy: {a: 1, b: 5}"]),
        (("members", 2, "count"), 4, ["  - {role: z}"], ["  - {role: z, count: 4}"]),
        (("prose",), "a\nb", ["prose: |", "  hello", "  world"], ['prose: "a\\nb"']),
    ],
)
def test_set_value_touches_only_its_own_lines(keys: Keys, value: object, out: list[str], into: list[str]):
    for text in (TEXT, TEXT.replace("\n", "\r\n")):
        edited = set_value(document(text), keys, value)
        assert changed_lines(text, edited.text) == (out, into)
        assert edited.text.count("\r\n") in (0, edited.text.count("\n"))


@pytest.mark.parametrize(
    ("keys", "value", "into"),
    [
        (("members", 1), {"role": "n", "count": 2}, ["  - role: n", "    count: 2"]),
        (("members", 0), {"role": "n"}, ["  - role: n"]),
        (("org", "policy", "steps", 1), "new", ["      - new"]),
        (("org", "policy", "list"), [1, "two: 2"], ['    list: [1, "two: 2"]']),
    ],
)
def test_insert_adds_only_its_own_lines(keys: Keys, value: object, into: list[str]):
    assert changed_lines(TEXT, insert(document(), keys, value).text) == ([], into)


@pytest.mark.parametrize(
    ("keys", "out", "into"),
    [
        (("members", 0), ["  - role: p    # r", "    count: 2"], []),
        (("members", 0, "role"), ["  - role: p    # r", "    count: 2"], ["  - count: 2"]),
        (("members", 1, "policy"), ["    policy: {a: 1, b: 2}"], []),
        (("members", 1, "policy", "a"), ["    policy: {a: 1, b: 2}"], ["    policy: {b: 2}"]),
        (("members", 2, "role"), ["  - {role: z}"], ["  - {}"]),
        (("org", "policy", "steps", 0), ["      - one    # first"], []),
        (("org", "policy", "a"), ["    a: 0.2     # a comment"], []),
    ],
)
def test_remove_takes_only_its_own_lines(keys: Keys, out: list[str], into: list[str]):
    assert changed_lines(TEXT, remove(document(), keys).text) == (out, into)


def test_removing_the_only_entry_leaves_an_empty_parent():
    edited = remove(document("---\nname: x\norg:\n  policy:\n    a: 1\n---\n"), ("org", "policy", "a"))
    assert edited.text == "---\nname: x\norg:\n  policy: {}\n---\n"


def test_setting_what_is_already_there_changes_nothing():
    assert (
        set_value(document(), ("org", "policy"), {"steps": ["one", "two"], "focus": ["o", "s"], "a": 0.2}).text == TEXT
    )


def test_impossible_edits_are_refused():
    with pytest.raises(FileError, match=r"x\.md:\d+: cannot insert"):
        insert(document(), ("members", 9), {})
    with pytest.raises(FileError, match="not there"):
        remove(document(), ("absent",))
    with pytest.raises(FileError, match="cannot be edited in place"):
        insert(document("---\nname: x\na:\n- - 1\n---\n"), ("a", 0, 0), 2)


def test_body_is_replaced_alone():
    assert with_body(document(), "new\n").text == TEXT[: TEXT.index("# Body")] + "new\n"


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
    | st.sampled_from(
        ["yes", "no", "null", "1e3", "0x1", "012", "- a", "a: b", "a #b", "'", '"', "2024-01-01", "", " ", "=", "<<"]
    )
)
values = (
    scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from(["p", "q", "r s"]), scalars, max_size=3)
)
KEYS: list[Keys] = [
    ("name",), ("quoted",), ("double",), ("empty",), ("org", "policy", "a"), ("org", "policy", "focus", 1),
    ("org", "policy", "focus"), ("org", "policy", "steps"), ("org", "policy", "steps", 0), ("org", "policy", "more"),
    ("org", "policy"), ("members", 0, "role"), ("members", 1, "policy", "a"), ("members", 1), ("members", 2),
    ("prose",),
]  # fmt: skip


@given(st.sampled_from(KEYS), values, st.sampled_from(["\n", "\r\n"]))
def test_any_value_can_be_set_anywhere_and_set_back(keys: Keys, value: object, newline: str):
    before = document(TEXT.replace("\n", newline))
    after = set_value(before, keys, value)
    assert same(at(after, keys), value)
    assert after.body == before.body
    assert after.text.encode() == after.encode()
    original = at(before, keys)
    if original is not None:
        assert same(set_value(after, keys, original).data, before.data)


def at(read_document: Document, keys: Keys) -> object:
    data: object = read_document.data
    for key in keys:
        if isinstance(data, dict) and key not in data:
            return None
        data = data[key]  # type: ignore[index]
    return data


names = st.text("abcdefgh-_", min_size=1, max_size=8).filter(lambda name: name[0] not in "-")
lines = st.builds("{}: {}{}".format, names, st.integers(0, 99), st.sampled_from(["", "   # why", "  "]))


@given(
    st.lists(lines, min_size=1, unique_by=lambda line: line.split(":")[0]),
    st.text(),
    st.sampled_from(["\n", "\r\n"]),
    st.data(),
)
def test_what_is_read_is_written_back(entries: list[str], body: str, newline: str, data: st.DataObject):
    text = newline.join(["---", "# a comment", *entries, "", "---", ""]) + body
    parsed = parse(text, PATH)
    assert parsed.encode() == text.encode()
    assert parsed.body == body
    chosen = data.draw(st.sampled_from(entries))
    edited = set_value(parsed, (chosen.split(":")[0],), "changed")
    assert [a for a, b in zip(text.split(newline), edited.text.split(newline), strict=True) if a != b] == [chosen]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"name: x\n", 1, "no front matter"),
        (b"", 1, "no front matter"),
        (b"---\nname: x\n", 1, "not closed"),
        (b"---\nname: x\ntext: a: b\n---\n", 3, "mapping values are not allowed"),
        (b"---\nname: [a\n---\n", 2, "never closed"),
        (b"---\na: 1\nname: 'a\nb: c\n---\n", 3, "never closed"),
        (b"---\nname: x\nname: y\n---\n", 3, "duplicate key 'name'"),
        (b"---\norg:\n  a: 1\n  a: 2\n---\n", 4, "duplicate key 'a'"),
        (b"---\norg:\n\ta: 1\n---\n", 3, "found a tab"),
        (b"---\nname: x\na:\t\t- b\n\n---\n", 3, "found a tab"),
        (b"---\n- a\n---\n", 2, "holds a list, expected a mapping"),
        (b"---\n---\n", 2, "holds nothing"),
        (b"---\njust text\n---\n", 2, "holds plain text"),
        (b"---\nname: &a x\nother: *a\n---\n", 2, "anchor or alias"),
        (b"---\nname: !!python/name:os.system\n---\n", 2, "found the tag"),
        (b"---\n? [a]\n: b\n---\n", 2, "as a key"),
        (b"---\nname: a\x00b\n---\n", 2, "control character"),
        (b"\xef\xbb\xbf---\nname: x\n---\n", 1, "byte order mark"),
        (b"---\r\nname: x\r\nb: \xff\r\n---\r\n", 3, "found byte 0xff, expected UTF-8"),
        (b"---\n" + b"[" * 3000 + b"\n---\n", None, "expected"),
    ],
)
def test_broken_files_name_their_line(tmp_path: Path, content: bytes, line: int | None, message: str):
    path = tmp_path / "role.md"
    path.write_bytes(content)
    with pytest.raises(RoleFileError, match=message) as caught:
        read(path, RoleFileError)
    assert line is None or caught.value.line == line


def test_links_large_files_and_folders_are_refused(tmp_path: Path):
    large, link = tmp_path / "large.md", tmp_path / "link.md"
    large.write_bytes(b"---\nname: x\n---\n" + b"x" * MAX_BYTES)
    link.symlink_to(large)
    for path, message in (
        (large, "larger than 1 MB"),
        (link, "symbolic link"),
        (tmp_path, "cannot be read"),
        (tmp_path / "no.md", "no such file"),
    ):
        with pytest.raises(FileError, match=message):
            read(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("0.5", 0.5),
        ("-3", -3),
        ("012", "012"),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1e999", float("inf")),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object):
    assert same(document(f"---\na: {text}\n---\n").data["a"], value)
