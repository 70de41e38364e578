"""A folder's mirror: in the right order, never torn, and with one owner."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from metaloop.files.mirror import RECORD, Glance, begin_mirror, fetch, mirror_record
from metaloop.files.store import OWNER, Store
from metaloop.vocabulary.errors import StorageError, TakenOver, UsageError

JOURNAL = "solo/seed-0/journal.jsonl"


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path / 'store'}" if request.param == "file" else f"memory://{tmp_path.name}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    write(out / "run.json", "{}")
    write(out / "orgs/solo/ORG.md", "charter")
    write(out / JOURNAL, '{"type":"run_started"}\n{"type":"fin')
    write(out / "solo/seed-0/repo/.git/HEAD", "ref: refs/heads/main\n")
    return out


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_of_lines_go_up_to_their_last_whole_line(folder: Path, url: str) -> None:
    begin_mirror(folder, url, "one").push()
    assert Store(url).get(JOURNAL) == b'{"type":"run_started"}\n'
    assert Store(url).get("orgs/solo/ORG.md") == b"charter"


def test_only_what_changed_is_sent_again(folder: Path, url: str) -> None:
    mirror = begin_mirror(folder, url, "one")
    assert mirror.push() > 0
    assert mirror.push() == 0
    write(folder / JOURNAL, '{"type":"run_started"}\n{"type":"finished"}\n')
    assert mirror.push() == len('{"type":"run_started"}\n{"type":"finished"}\n')


def test_a_repository_goes_when_its_org_run_has_ended(folder: Path, url: str) -> None:
    mirror = begin_mirror(folder, url, "one")
    mirror.push()
    assert not Store(url).has("solo/seed-0/repo/.git/HEAD")
    write(folder / JOURNAL, '{"type":"run_started"}\n{"type":"run_ended"}\n')
    mirror.push()
    assert Store(url).has("solo/seed-0/repo/.git/HEAD")


def test_what_vanishes_here_vanishes_there(folder: Path, url: str) -> None:
    mirror = begin_mirror(folder, url, "one")
    mirror.push()
    (folder / JOURNAL).unlink()
    mirror.push()
    assert JOURNAL not in Store(url).names()
    assert "run.json" in Store(url).names()


def test_what_is_sent_first_is_what_others_are_made_from(folder: Path, tmp_path: Path) -> None:
    """However the push is cut off, nothing in the store speaks of what is not there."""
    for name in ("solo/seed-0/confirmation.jsonl", "measured.jsonl", "results.json"):
        write(folder / name, "{}\n")
    sent: list[str] = []

    class Watched(Store):
        def put(self, name: str, data: bytes) -> None:
            sent.append(name)
            super().put(name, data)

    mirror = begin_mirror(folder, f"file://{tmp_path / 'store'}", "one")
    mirror._store = Watched(f"file://{tmp_path / 'store'}")
    mirror.push()
    order = ["orgs/solo/ORG.md", "run.json", JOURNAL, "solo/seed-0/confirmation.jsonl", "measured.jsonl"]
    assert sent == [*order, "results.json"]


def test_what_was_fetched_is_what_was_sent(folder: Path, url: str, tmp_path: Path) -> None:
    begin_mirror(folder, url, "one").push()
    fetch(url, tmp_path / "copy", "two")
    assert (tmp_path / "copy" / "orgs/solo/ORG.md").read_text() == "charter"
    assert (tmp_path / "copy" / JOURNAL).read_text() == '{"type":"run_started"}\n'
    assert not (tmp_path / "copy" / OWNER).exists()
    record = mirror_record(tmp_path / "copy")
    assert record is not None
    assert (record.url, record.copy) == (url, "two")


def test_a_store_that_is_gone_was_taken_over_by_nobody(folder: Path, tmp_path: Path) -> None:
    """Whoever is taken over stops its run; a bucket that somebody emptied must not stop one."""
    mirror = begin_mirror(folder, f"file://{tmp_path / 'store'}", "one")
    mirror.push()
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(StorageError, match="is gone") as error:
        mirror.push()
    assert not isinstance(error.value, TakenOver)


def test_a_glance_fetches_what_changed_and_takes_nothing_over(folder: Path, url: str, tmp_path: Path) -> None:
    mirror = begin_mirror(folder, url, "one")
    mirror.push()
    glance, seen = Glance(url, tmp_path / "seen"), tmp_path / "seen"
    glance.update()
    before = (seen / "run.json").stat().st_mtime_ns
    assert not (seen / "orgs").exists()
    write(folder / JOURNAL, '{"type":"run_started"}\n{"type":"finished"}\n')
    mirror.push()
    glance.update()
    assert (seen / JOURNAL).read_text() == '{"type":"run_started"}\n{"type":"finished"}\n'
    assert (seen / "run.json").stat().st_mtime_ns == before


def test_who_was_taken_over_writes_nothing_more(folder: Path, url: str, tmp_path: Path) -> None:
    mirror = begin_mirror(folder, url, "one")
    mirror.push()
    fetch(url, tmp_path / "copy", "two")
    write(folder / JOURNAL, '{"type":"run_started"}\n{"type":"finished"}\n')
    with pytest.raises(StorageError, match="taken over"):
        mirror.push()
    with pytest.raises(UsageError, match=r"taken over.*metaloop resume"):
        begin_mirror(folder, "", "three")
    write(tmp_path / "copy" / JOURNAL, '{"type":"run_started"}\n{"type":"lost"}\n')
    begin_mirror(tmp_path / "copy", "", "three").push()
    assert b"lost" in Store(url).get(JOURNAL)


def test_another_run_is_not_written_over(folder: Path, url: str, tmp_path: Path) -> None:
    begin_mirror(folder, url, "one").push()
    write(tmp_path / "other" / "run.json", "{}")
    with pytest.raises(UsageError, match="already holds a run"):
        begin_mirror(tmp_path / "other", url, "two")
    assert not (tmp_path / "other" / RECORD).exists()


def test_a_folder_goes_on_where_it_was_mirrored(folder: Path, url: str) -> None:
    begin_mirror(folder, url, "one").push()
    begin_mirror(folder, "", "two").push()
    assert Store(url).owner() == "one"


def test_nothing_is_fetched_from_where_nothing_is(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        fetch(url, tmp_path / "copy", "one")
    assert not (tmp_path / "copy").exists()


def test_nothing_is_fetched_over_a_folder(folder: Path, url: str) -> None:
    begin_mirror(folder, url, "one").push()
    with pytest.raises(UsageError, match="exists"):
        fetch(url, folder, "two")
    assert Store(url).owner() == "one"


@pytest.mark.parametrize(
    ("url", "reason"), [("zzz://bucket/run", "Protocol not known"), ("file:///proc/no/such", "cannot be written")]
)
def test_storage_that_cannot_be_used_says_why(folder: Path, url: str, reason: str) -> None:
    with pytest.raises(StorageError, match=reason):
        begin_mirror(folder, url, "one")


def test_a_snapshot_never_speaks_of_what_is_not_there(tmp_path: Path) -> None:
    """A writer adds a journal line and then a confirmation line; the store never has more of the latter."""
    run, url = tmp_path / "run", f"file://{tmp_path / 'store'}"
    write(run / "run.json", "{}")
    confirmation = "solo/seed-0/confirmation.jsonl"
    write(run / JOURNAL, "")
    over = threading.Event()

    def work() -> None:
        with (run / JOURNAL).open("a") as first, (run / confirmation).open("a") as then:
            while not over.is_set():
                print("{}", file=first, flush=True)
                print("{}", file=then, flush=True)

    writer = threading.Thread(target=work)
    writer.start()
    mirror = begin_mirror(run, url, "one")
    try:
        for _ in range(30):
            mirror.push()
            store = Store(url)
            confirmed = store.get(confirmation) if store.has(confirmation) else b""
            assert confirmed.count(b"\n") <= store.get(JOURNAL).count(b"\n")
    finally:
        over.set()
        writer.join()
    assert confirmed
