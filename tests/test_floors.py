"""The layout of DESIGN stays true: a module imports only floors at or below its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"vocabulary": 0, "files": 1, "brains": 2, "actors": 3, "execution": 4, "meta": 5, "edges": 6}
MODULES = sorted((ROOT / "metaloop").rglob("*.py"))
ONLY_IN = {
    "ray": {
        "metaloop/execution/ray_backend.py",
        "metaloop/execution/ray_connection.py",
        "metaloop/execution/ray_jobs.py",
        "metaloop/execution/ray_metrics.py",
    },
    "subprocess": {
        "metaloop/files/repository.py",
        "metaloop/brains/agent/command.py",
        "metaloop/execution/sandbox/host.py",
        "metaloop/execution/nanogpt_group.py",
        "metaloop/edges",
    },
    "optuna": {
        "metaloop/brains",
        "metaloop/meta/mutations/parametric.py",
        "metaloop/meta/evidence/importance.py",
    },
    "mlflow": {"metaloop/edges/tracking"},
    "nanogpt": {"metaloop/execution/nanogpt_", "metaloop/execution/sandbox"},
    "time": {"metaloop/vocabulary/clock.py", "metaloop/brains/agent/guard.py", "metaloop/edges"},
    "datetime": {"metaloop/edges"},
    "openai": {"metaloop/brains/model/chat.py"},
    "httpx2": {"metaloop/brains/model/chat.py"},
    "requests": {"metaloop/brains/scout/fetch.py"},
    "urllib3": {"metaloop/brains/scout/fetch.py"},
    "defusedxml": {"metaloop/brains/scout/hits.py"},
}
"""Who may import what reaches outside: time, processes, the cluster, the target."""


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} has a relative import"
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_down(path: Path) -> None:
    parts = path.relative_to(ROOT / "metaloop").parts
    if len(parts) == 1:
        return
    own = FLOORS[parts[0]]
    for name in imports(path):
        words = name.split(".")
        if words[0] == "metaloop" and len(words) > 1 and words[1] in FLOORS:
            assert FLOORS[words[1]] <= own, f"{relative(path)} imports {name} from a higher floor"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_outside_is_reached_in_one_place(path: Path) -> None:
    for name in imports(path):
        allowed = ONLY_IN.get(name.split(".")[0])
        if allowed is not None:
            assert any(relative(path).startswith(place) for place in allowed), f"{relative(path)} imports {name}"


def test_the_target_does_not_know_metaloop() -> None:
    for path in (ROOT / "nanogpt").rglob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] == "metaloop"], path


def test_no_module_uses_the_global_random_generator() -> None:
    """``random`` is imported for its class only; all draws come from named streams."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
                assert node.attr == "Random", f"{relative(path)}:{node.lineno} uses random.{node.attr}"
