"""The cluster files against Ray's own schema, defaults and checks, and against what metaloop needs of a cluster."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FILES = ("ray_cluster.yaml", "ray_cluster_local.yaml")


@pytest.fixture(params=FILES)
def cluster(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / request.param).read_text())
    return found


def test_ray_s_schema_accepts_it(cluster: dict[str, Any]) -> None:
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.origin is not None
    schema = json.loads((Path(found.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "min_workerz": 1}, schema)


@pytest.mark.parametrize("name", FILES)
def test_ray_takes_it_as_ray_up_does(name: str) -> None:
    """Defaults filled in and everything checked; in a process of its own, which imports Ray."""
    code = (
        "import sys, yaml; from ray.autoscaler._private.util import prepare_config, validate_config; "
        "config = prepare_config(yaml.safe_load(open(sys.argv[1]))); validate_config(config); "
        "print(sorted(config['available_node_types']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ROOT / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    types = {"ray_cluster.yaml": "['gpu_spot', 'gpu_worker', 'head']"}
    assert done.stdout.splitlines()[-1] == types.get(name, "['local.cluster.node']")


def test_every_node_is_let_in_and_finds_metaloop(cluster: dict[str, Any]) -> None:
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for commands in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"]):
        words = shlex.split(commands[-1])
        assert "RAY_AUTH_MODE=token" in words
        assert "RAY_worker_niceness=0;" in words
        assert "PATH=$HOME/metaloop/.venv/bin:$PATH" in words
    assert any("make setup" in command for command in cluster["setup_commands"])
    assert any("load_corpus" in command for command in cluster["setup_commands"])
    assert {".git/**", ".venv/**", "runs/**"} <= set(cluster["rsync_exclude"])


def test_options_of_ray_start_exist(cluster: dict[str, Any]) -> None:
    ray = Path(sys.executable).with_name("ray")
    known = subprocess.run([str(ray), "start", "--help"], capture_output=True, text=True, check=True).stdout
    for commands in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"]):
        for word in shlex.split(commands[-1]):
            if word.startswith("--"):
                assert word.split("=")[0] in known, word


def test_spot_workers_are_the_same_machine() -> None:
    """Organizations are compared on one kind of device."""
    types = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())["available_node_types"]
    steady, spot = types["gpu_worker"], types["gpu_spot"]
    assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert steady["node_config"]["InstanceType"] == spot["node_config"]["InstanceType"]
    assert steady["resources"] == spot["resources"] == {"CPU": 4, "GPU": 1}
    assert steady["min_workers"] >= 1
    assert types["head"]["resources"]["CPU"] == 0
