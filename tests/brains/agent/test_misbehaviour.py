"""Commands that misbehave: each ends in a refusal that names what it did, and leaves neither processes nor traces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from metaloop.brains.agent.brain import AgentExchange
from metaloop.vocabulary.decisions import Pass, Propose, Refuse, Review
from metaloop.vocabulary.records import effective
from tests.brains import worlds as w
from tests.brains.agent.harness import SOURCES, alive, decide, seen, terms

SAY = "open('PROPOSAL.md', 'w').write('Because.')\n"
"""What a well-behaved command does besides."""
ONCE = "import sys\nif 'cannot be used' in open(sys.argv[1]).read(): sys.exit()\n"
"""It leaves everything as it is when it is asked to mend it."""


def told(folder: Path, script: str, **fields: object) -> Refuse:
    """The refusal that a script comes to; the repository is as it was, and nothing of its work is left."""
    before = shared(folder) if (folder / "repo").exists() else None
    decision = decide(folder, script, seen(), **fields)
    assert isinstance(decision, Refuse), decision
    assert list((folder / "worktrees").iterdir()) == []
    assert before in (None, shared(folder))
    return decision


def shared(folder: Path) -> dict[str, bytes]:
    """Everything below ``.git`` that git obeys."""
    place = folder / "repo" / ".git"
    names = ("config", "HEAD", "hooks", "info", "refs")
    files = [path for name in names for path in [place / name, *(place / name).rglob("*")] if path.is_file()]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def _made(tmp_path: Path) -> None:
    assert isinstance(decide(tmp_path, "pass", seen()), Pass)


def test_one_that_hangs_is_killed_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    refusal = told(tmp_path, "import time; time.sleep(99)  # hangs-7f3a", timeout_s=1.0)
    assert refusal.reason == "it was not done within 1 s"
    assert not refusal.outage
    assert time.monotonic() - began < 5
    assert not alive("hangs-7f3a")


def test_one_that_ignores_every_signal_is_killed_all_the_same(tmp_path: Path) -> None:
    script = "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(99)  # deaf-19c2"
    assert "not done within" in told(tmp_path, script, timeout_s=1.0).reason
    assert not alive("deaf-19c2")


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2): os.close(fd)
        time.sleep(99)  # daemon-{mark}
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("end", ["", "time.sleep(99)\n", "sys.exit(3)\n"])
def test_daemons_end_with_it(tmp_path: Path, end: str) -> None:
    mark = f"5d1e{len(end)}"
    decide(tmp_path, DAEMON.format(mark=mark) + end, seen(), timeout_s=1.0)
    assert not alive(f"daemon-{mark}")


def test_a_flood_is_read_and_not_kept(tmp_path: Path) -> None:
    script = "import sys\nfor _ in range(3000): sys.stdout.write('x' * 10_000)\nsys.exit('too much')"
    assert told(tmp_path, script).reason == "it ended with exit code 1: too much"
    assert max(path.stat().st_size for path in tmp_path.rglob("transcripts/*/*.json")) < 500_000


def test_an_exit_code_is_a_refusal_with_its_last_words(tmp_path: Path) -> None:
    refusal = told(tmp_path, SAY + "import sys\nprint('no such model', file=sys.stderr)\nsys.exit(3)")
    assert refusal.reason == "it ended with exit code 3: no such model"


def test_a_huge_file_cannot_be_written(tmp_path: Path) -> None:
    script = "open('big', 'wb').write(b'x' * 5_000_000)"
    assert "File too large" in told(tmp_path, script, file_mb=1.0).reason


def test_memory_is_bounded(tmp_path: Path) -> None:
    assert "MemoryError" in told(tmp_path, "x = b'1' * 400_000_000", memory_mb=100.0).reason


def test_memory_of_all_its_processes_together_is_bounded(tmp_path: Path) -> None:
    held = "if os.fork() == 0: kept = b'1' * 60_000_000; time.sleep(99)"
    script = f"import os, time\nfor _ in range(5):\n    {held}\ntime.sleep(99)"
    assert told(tmp_path, script, memory_mb=150.0).reason == "it held more than 150 MB of memory"


def test_processes_are_counted(tmp_path: Path) -> None:
    script = "import os, time\nfor _ in range(40): os.fork() or time.sleep(99)\ntime.sleep(99)  # many-88b1"
    assert told(tmp_path, script, processes=16).reason == "it had more than 16 processes"
    assert not alive("many-88b1")


def test_a_missing_command_is_an_outage(tmp_path: Path) -> None:
    from metaloop.brains.registry import make_brain
    from metaloop.vocabulary.agents import AgentCard
    from tests.brains.agent.harness import agent
    from tests.brains.objective import member

    card = AgentCard("a", ("no-such-command-anywhere",))
    decision = make_brain(agent(member("proposer")), w.SPACE, 7, (), terms(tmp_path, card)).decide(seen())
    assert isinstance(decision, Refuse)
    assert decision.outage
    assert "'no-such-command-anywhere'" in decision.reason


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("open('nanogpt/prepare.py', 'a').write('x = 1')", "nanogpt/prepare.py (changed)"),
        ("import os; os.remove('nanogpt/model.py')", "nanogpt/model.py (deleted)"),
        ("open('nanogpt/extra.py', 'w').write('x = 1')", "nanogpt/extra.py (new)"),
        (
            "import os; os.remove('nanogpt/model.py'); os.symlink('/etc/passwd', 'nanogpt/model.py')",
            "nanogpt/model.py (symbolic link to '/etc/passwd')",
        ),
        (
            "import os, shutil; shutil.rmtree('nanogpt'); os.symlink('/etc', 'nanogpt')",
            "nanogpt (symbolic link to '/etc')",
        ),
        ("import os; os.remove('nanogpt/model.py'); os.mkfifo('nanogpt/model.py')", "nanogpt/model.py (special file)"),
        ("import subprocess; subprocess.run(['git', 'init', '-q', 'inner'])", "inner/.git/HEAD (new)"),
        ("open('.gitmodules', 'w').write('x')", ".gitmodules (new)"),
        ("open('.gitattributes', 'w').write('* filter=x')", ".gitattributes (new)"),
        ("open('.git', 'w').write('gitdir: /elsewhere')", ".git (changed)"),
        ("open('nanogpt/model.py', 'a').write('def (:')", "nanogpt/model.py:8: it is no Python"),
        ("open('nanogpt/model.py', 'wb').write(bytes([255, 254]))", "nanogpt/model.py: it is no UTF-8 text"),
        ("open('nanogpt/model.py', 'w').write('x = 1\\n' * 60_000)", "at most 200000 are allowed"),
        ("open('knobs.yaml', 'w').write('lr: 0.1\\n')", "beta is missing"),
        ("open('knobs.yaml', 'a').write('lr: 0.1\\n')", "lr"),
        ("open('knobs.yaml', 'a').write('wings: 2\\n')", "unknown key 'wings'"),
        ("t = open('knobs.yaml').read(); open('knobs.yaml', 'w').write(t.replace('lr: 0.01', 'lr: 99'))", "99"),
    ],
)
def test_what_may_not_change_is_named_and_refused(tmp_path: Path, script: str, named: str) -> None:
    assert named in told(tmp_path, ONCE + script + "\n" + SAY).reason


SHARED = "import subprocess\nd = subprocess.check_output(['git', 'rev-parse', '--git-common-dir'], text=True).strip()\n"


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("import os; os.makedirs(d + '/hooks', 0o755, True); open(d + '/hooks/post-commit', 'w').write('x')", "hooks"),
        ("open(d + '/config', 'a').write('[core]\\n\\tfsmonitor = touch /tmp/owned\\n')", ".git/config"),
        ("open(d + '/info/attributes', 'w').write('* filter=x')", ".git/info/attributes"),
        ("open(d + '/HEAD', 'w').write('ref: refs/heads/other\\n')", ".git/HEAD"),
        ("subprocess.run(['git', 'commit', '-q', '--allow-empty', '-m', 'x']); "
         "subprocess.run(['git', 'update-ref', 'refs/heads/main', 'HEAD'])", ".git/refs/heads/main"),
        ("subprocess.run(['git', 'update-ref', '-d', 'refs/heads/main'])", ".git/refs/heads/main"),
        ("open(d + '/objects/info/alternates', 'w').write('/tmp')", ".git/objects/info/alternates"),
    ],
)  # fmt: skip
def test_meddling_with_the_repository_is_named_and_put_back(tmp_path: Path, script: str, named: str) -> None:
    reason = told(tmp_path, SHARED + script + "\n" + SAY).reason
    assert reason.startswith("it meddled with the repository, which was put back: ")
    assert named in reason


def test_branches_commits_and_droppings_of_its_own_are_no_harm(tmp_path: Path) -> None:
    before = shared(tmp_path)
    script = """
import os, subprocess
open('nanogpt/model.py', 'a').write('\\nDEPTH = 3\\n')
os.makedirs('.claude/x'); open('.claude/x/log', 'w').write('x')
os.makedirs('nanogpt/__pycache__'); open('nanogpt/__pycache__/model.cpython.pyc', 'wb').write(b'x')
for words in (['checkout', '-q', '-b', 'mine'], ['add', 'nanogpt'], ['commit', '-q', '-m', 'mine'], ['tag', 'v1']):
    subprocess.run(['git', *words], check=True)
"""
    decision = decide(tmp_path, script + SAY, seen())
    assert isinstance(decision, Propose), decision
    assert [edit.path for edit in decision.edits] == ["nanogpt/model.py"]
    assert before == shared(tmp_path)


def test_who_may_not_edit_is_refused_edits(tmp_path: Path) -> None:
    script = "open('nanogpt/model.py', 'a').write('x = 1')\n" + SAY
    decision = decide(tmp_path, script, seen(sources={}))
    assert isinstance(decision, Refuse)
    assert "nanogpt/model.py (changed)" in decision.reason


def test_garbage_is_mended_or_refused(tmp_path: Path) -> None:
    garbage = decide(tmp_path, "print('{{{ yes')", w.review({"lr": 0.3}), "reviewer")
    assert isinstance(garbage, Refuse)
    mends = (
        "import sys\nagain = 'cannot be used' in open(sys.argv[1]).read()\n"
        'print(\'{"reason": "fine", "approve": true}\' if again else \'sure!\')'
    )
    assert isinstance(decide(tmp_path, mends, w.review({"lr": 0.4}), "reviewer"), Review)


def test_a_proposal_is_mended_where_it_stands(tmp_path: Path) -> None:
    script = """
import sys
if 'cannot be used' in open(sys.argv[1]).read():
    text = open('nanogpt/model.py').read()
    open('nanogpt/model.py', 'w').write(text.replace('def (:', 'DEPTH = 3'))
else:
    open('nanogpt/model.py', 'a').write('def (:')
"""
    decision = decide(tmp_path, script + SAY, seen())
    assert isinstance(decision, Propose), decision
    assert decision.edits[0].replace.endswith("DEPTH = 3")


def test_without_a_hypothesis_there_is_no_proposal(tmp_path: Path) -> None:
    edit = "open('nanogpt/model.py', 'a').write('x = 1\\n')\n"
    assert "PROPOSAL.md is missing" in told(tmp_path, edit).reason
    said = decide(tmp_path, edit + "print('Shorter is better.')", seen())
    assert isinstance(said, Propose)
    assert said.hypothesis == "Shorter is better."


def test_knobs_and_statement_are_read(tmp_path: Path) -> None:
    script = (
        "t = open('knobs.yaml').read()\nopen('knobs.yaml', 'w').write(t.replace('depth: 4', 'depth: 6'))\n"
        "open('PROPOSAL.md', 'w').write('# Deeper\\n\\nMore layers.\\n\\nPredicted-Delta: -0.02 bpb\\n')"
    )
    decision = decide(tmp_path, script, seen())
    assert isinstance(decision, Propose), decision
    assert (decision.changes, decision.edits) == ({"depth": 6}, ())
    assert (decision.hypothesis, decision.predicted_delta) == ("Deeper More layers.", -0.02)


def test_a_focus_binds(tmp_path: Path) -> None:
    from metaloop.vocabulary.decisions import Steering

    script = "t = open('knobs.yaml').read()\nopen('knobs.yaml', 'w').write(t.replace('depth: 4', 'depth: 6'))\n" + SAY
    steered = decide(tmp_path, script, seen(steering=Steering(("optimizer",))))
    assert isinstance(steered, Refuse)
    assert "depth is not among the knobs" in steered.reason


def test_secrets_are_never_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-very-secret-0123"
    monkeypatch.setenv("MY_AGENT_KEY", secret)
    monkeypatch.setenv("UNNAMED_KEY", "sk-unnamed-99")
    shouts = (
        "import os, sys\nk = os.environ['MY_AGENT_KEY']\nassert 'UNNAMED_KEY' not in os.environ\n"
        "print(k); print(k, file=sys.stderr); open('PROPOSAL.md', 'w').write('Because of ' + k)\n"
    )
    edits = "open('nanogpt/model.py', 'a').write(f'KEY = {k!r}')\n"
    asked = {"pass_variables": ("MY_AGENT_KEY",)}
    refusal = told(tmp_path, ONCE + shouts + edits, **asked)
    assert "secret" in refusal.reason
    told(tmp_path, shouts + "sys.exit(k)", **asked)
    exchanges = [msgspec.json.decode(p.read_bytes(), type=AgentExchange) for p in tmp_path.rglob("transcripts/*/*")]
    assert any("***" in exchange.answers[0].text for exchange in exchanges)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if secret.encode() in path.read_bytes()]


def test_the_worktree_is_the_head_that_was_shown_whatever_the_repository_holds(tmp_path: Path) -> None:
    changed = {**SOURCES, "nanogpt/model.py": SOURCES["nanogpt/model.py"] + "DEPTH = 9\n"}
    script = "assert 'DEPTH = 9' in open('nanogpt/model.py').read()\nassert 'lr: 0.5' in open('knobs.yaml').read()\n"
    head = w.head(effective({}, {"lr": 0.5}, w.DEFAULTS))
    assert isinstance(decide(tmp_path, script, seen(sources=changed, head=head)), Pass)


def test_an_unknown_head_is_an_outage(tmp_path: Path) -> None:
    refusal = decide(tmp_path, "pass", seen(head=w.head(commit="c77")))
    assert isinstance(refusal, Refuse)
    assert refusal.outage
    assert "'c77'" in refusal.reason


ROLE = """
import sys
from pathlib import Path
from tests.brains.agent.harness import decide, seen
decide(Path(sys.argv[1]), "import os, time\\nos.fork()\\ntime.sleep(99)  # orphan-3c4d", seen(index=9999))
"""


def test_it_dies_with_the_process_that_asked(tmp_path: Path) -> None:
    role = subprocess.Popen([sys.executable, "-c", ROLE, str(tmp_path)], cwd=Path(__file__).parents[3])
    until = time.monotonic() + 20
    while len(alive("time.sleep(99)  # orphan-3c4d")) < 3 and time.monotonic() < until:  # role, guard, command
        time.sleep(0.05)
    os.kill(role.pid, signal.SIGKILL)
    role.wait()
    until = time.monotonic() + 5
    while alive("orphan-3c4d") and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive("orphan-3c4d")
    assert list((tmp_path / "worktrees").iterdir()), "what it left is still there"
    assert isinstance(decide(tmp_path, "pass", seen()), Pass), "and is no harm to the next"


def test_a_burst_of_forks_is_put_out(tmp_path: Path) -> None:
    """A bomb of at most 512 processes: an endless one would be everybody's on this machine."""
    script = "import os, time\nfor _ in range(9): os.fork()\ntime.sleep(99)  # burst-77aa"
    refusal = told(tmp_path, script, processes=16, timeout_s=20.0)
    assert refusal.reason == "it had more than 16 processes" or "unavailable" in refusal.reason
    assert not alive("burst-77aa")
