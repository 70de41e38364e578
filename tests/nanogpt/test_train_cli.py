"""The command line: what it prints, and that bad input is one line and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanogpt import signal_to_noise
from nanogpt.cli import main
from nanogpt.knobs import KNOBS
from nanogpt.presets import PRESETS


def run(folder: Path, text: Path, *arguments: str) -> int:
    return main(["--preset", "cpu-micro", "--data", str(text), "--cache", str(folder), *arguments])


def test_summary_and_curve(tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(tmp_path, text_file, "--set", "matrix_lr=0.01", "--set", "qk_norm=true", "--score-on", "val,holdout") == 0
    )
    out, err = capsys.readouterr()
    summary = dict(line.split(": ", 1) for line in out.splitlines())
    assert summary["state"] == "ok"
    assert float(summary["val_bpb"]) < 8
    assert {"holdout_bpb", "seconds", "steps", "parameters"} <= set(summary)
    assert len(err.splitlines()) == 5


def test_json_is_one_object_and_nothing_else(
    tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, text_file, "--json", "--budget-fraction", "0.5") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["state"] == "ok"
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "matrix_lrr=1"], "did you mean 'matrix_lr'"),
        (["--set", "matrix_lr"], "expected KNOB=VALUE"),
        (["--set", "matrix_lr=fast"], "found 'fast', expected a number from 0.0001 to 0.3"),
        (["--set", "qk_norm=maybe"], "expected true or false"),
        (["--set", "queries_per_kv=1.5"], "expected a whole number"),
        (["--preset", "cpu-tinny"], "did you mean 'cpu-tiny'"),
        (["--data", "/absent/*.txt"], "no file matches"),
        (["--score-on", "val,test"], "unknown split 'test'"),
        (["--budget-fraction", "2"], "found 2.0"),
        (["--threads", "0"], "at least 1"),
        (["--device", "tpu"], "expected cpu or cuda"),
    ],
)
def test_bad_input(
    tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(tmp_path, text_file, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_help_teaches_every_knob_and_preset(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*KNOBS, *PRESETS))


def test_list_knobs_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-knobs"]) == 0
    assert "arXiv" in capsys.readouterr().out


@pytest.mark.slow
def test_signal_to_noise_prints_both(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOGPT_CACHE", str(tmp_path))
    assert signal_to_noise.main(["--preset", "cpu-micro", "--configs", "4", "--seeds", "2", "--search", "4"]) == 0
    text = capsys.readouterr().out
    assert all(key in text for key in ("baseline_seed_sd:", "random_seconds:", "search_bpb:"))
