"""A stand-in for a coding agent, so that the way an agent works can be seen without one: no model is behind it.

It reads the prompt that an agent would read, counts what was tried, and does the next thing on a list: real edits of
the training code and of knobs, some good, some bad, one that crashes, one that only takes away. Asked for a verdict, it
keeps what is better and discards the rest, as the merger's prose says. The same prompt gives the same work.

Run by metaloop in a git worktree: ``stand_in.py PROMPT_FILE ANSWER_FILE USAGE_FILE``. Standard library only.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

MODEL, OPTIM, SCHEDULE = "nanogpt/model.py", "nanogpt/optim.py", "nanogpt/schedule.py"
CHARS_A_TOKEN = 4
"""What a model would have read and written, roughly, so that accounts are not empty."""
TRIED = re.compile(r"^- e\d+ (.*): (?:\d+\.\d+|\w+, no score)", re.MULTILINE)
PENDING = re.compile(r"^## On its way already\n\n((?:- .*\n?)+)", re.MULTILINE)
AGAINST = re.compile(r"## The candidate\n.*?; against the head ([-+]\d+\.\d+)", re.DOTALL)


@dataclass(frozen=True)
class Idea:
    """A hypothesis with what it takes: passages to replace, by file, and knobs to set."""

    hypothesis: str
    expected: float
    edits: tuple[tuple[str, str, str], ...] = ()
    knobs: tuple[tuple[str, str], ...] = ()


IDEAS = (
    Idea(
        "The steps are far too short: at a budget this small the matrices can take ten times the learning rate.",
        -0.2,
        knobs=(("matrix_lr", "0.012"), ("embedding_lr", "0.02")),
    ),
    Idea(
        "A squared leaky ReLU keeps a gradient where GELU has almost none, and is cheaper to compute.",
        -0.01,
        ((MODEL, "x = F.gelu(x)\n", "x = F.leaky_relu(x, 0.5).square()\n"),),
    ),
    Idea(
        "Every token sees a learned share of the token before it, so that the first layer need not spend a head on it.",
        -0.05,
        (
            (
                MODEL,
                "        self.final_norm = Norm(shape.width, config.norm)\n",
                "        self.final_norm = Norm(shape.width, config.norm)\n"
                "        self.smear = nn.Parameter(torch.full((shape.width,), 0.3))\n",
            ),
            (
                MODEL,
                "        x0 = x\n",
                "        x = torch.cat((x[:, :1], x[:, 1:] + self.smear * x[:, :-1]), dim=1)\n        x0 = x\n",
            ),
        ),
    ),
    Idea(
        "The z-loss is off and has been: without its branch the loss is the same, and shorter to read.",
        0.0,
        (
            (
                MODEL,
                "        if self.config.z_loss == 0:\n            return cross_entropy, cross_entropy.detach()\n"
                "        z_loss = out.logsumexp(-1).square().mean()\n"
                "        return cross_entropy + self.config.z_loss * z_loss, cross_entropy.detach()\n",
                "        return cross_entropy, cross_entropy.detach()\n",
            ),
        ),
    ),
    Idea(
        "One learned factor per head of the attention's output lets the model switch heads off.",
        -0.01,
        (
            (
                MODEL,
                "        self.out = nn.Parameter(torch.empty(shape.width, rows[0]))\n",
                "        self.out = nn.Parameter(torch.empty(shape.width, rows[0]))\n"
                "        self.head_scale = nn.Parameter(torch.ones(shape.width_of_a_head))\n",
            ),
        ),
    ),
    Idea(
        "Smoothed targets keep so small a model from being too sure of itself.",
        -0.01,
        (
            (
                MODEL,
                "cross_entropy = F.cross_entropy(out, targets.flatten())\n",
                "cross_entropy = F.cross_entropy(out, targets.flatten(), label_smoothing=0.1)\n",
            ),
        ),
    ),
    Idea(
        "Rotary positions and normed queries and keys need no table to be learned in a few hundred steps.",
        -0.05,
        knobs=(("position", '"rope"'), ("qk_norm", "true")),
    ),
    Idea(
        "A warm-down that falls with the square spends more steps at a low rate, where the loss still falls fast.",
        -0.005,
        ((SCHEDULE, "    return 1 - progress\n", "    return (1 - progress) ** 2\n"),),
        (("schedule_shape", '"linear"'),),
    ),
    Idea(
        "A learned scale of the logits lets the head be as sure as the data allow, whatever the table's norm.",
        -0.01,
        (
            (
                MODEL,
                "        self._add_tables()\n\n",
                "        self.logit_scale = nn.Parameter(torch.ones(1))\n        self._add_tables()\n\n",
            ),
            (
                MODEL,
                "        cap = self.config.logit_softcap\n",
                "        out = out * self.logit_scale\n        cap = self.config.logit_softcap\n",
            ),
        ),
    ),
    Idea(
        "Ten times the usual floor under Adam's root steadies the first steps.",
        -0.002,
        ((OPTIM, "ADAM_EPS = 1e-8", "ADAM_EPS = 1e-7"),),
    ),
    Idea(
        "Orthogonalized momentum makes more of every step than AdamW does, and the matrices are most of the model.",
        -0.05,
        knobs=(("matrix_optimizer", '"muon"'), ("matrix_lr", "0.02")),
    ),
    Idea(
        "The embeddings start so small that the first norms amplify noise; a fifth of the usual spread is plenty.",
        0.0,
        ((MODEL, "std = config.embedding_std if embedding", "std = config.embedding_std / 5 if embedding"),),
    ),
    Idea(
        "Half the batch is twice the steps for the same budget.",
        -0.03,
        knobs=(("batch_scale", "0.5"),),
    ),
)


def tried(prompt: str) -> int:
    """Different changes that were trained."""
    return len({what for what in TRIED.findall(prompt) if what != "the head itself"})


def propose(prompt: str) -> str:
    """The first idea from here on that can be had, and that nobody is at; what is said of it."""
    pending = PENDING.search(prompt)
    for idea in IDEAS[tried(prompt) :]:
        editable = all(f"`{path}`" in prompt for path, _, _ in idea.edits)
        if editable and attempt(idea, pending[1] if pending else ""):
            return f"{idea.hypothesis}\n\npredicted-delta: {idea.expected}\n"
    return "Nothing is left on the list.\n"


def attempt(idea: Idea, pending: str) -> bool:
    """Make its edits, all or none; whether they could be made, and are not among those on their way."""
    texts: dict[Path, str] = {}
    for path, old, new in idea.edits:
        text = texts.get(Path(path)) or Path(path).read_text()
        if text.count(old) != 1:
            return False
        texts[Path(path)] = text.replace(old, new)
    for knob, value in idea.knobs:
        file = Path("knobs.yaml")
        text = texts.get(file) or file.read_text()
        texts[file] = re.sub(rf"^{knob}: .*$", f"{knob}: {value}", text, flags=re.MULTILINE)
    changed = {path: text for path, text in texts.items() if text != path.read_text()}
    marks = [f"{knob}={value.strip(chr(34))}" for knob, value in idea.knobs]
    marks += [f"file:{path}={digest(text)}" for path, text in changed.items() if path.suffix == ".py"]
    if pending and all(mark in pending for mark in marks):
        return False
    for path, text in changed.items():
        path.write_text(text)
    return bool(changed)


def digest(text: str) -> str:
    """How a configuration names a changed file: by its syntax tree."""
    return hashlib.sha256(ast.dump(ast.parse(text)).encode()).hexdigest()[:12]


def judge(prompt: str, schema: dict[str, object]) -> dict[str, object]:
    """Keep what the policy lets be kept, train again what it wants trained again, discard the rest."""
    verdicts = schema["properties"]["verdict"]["enum"]  # type: ignore[index]
    found = AGAINST.search(prompt)
    delta = f"{found[1]} bpb against the head" if found else "no score against the head"
    better = found is not None and float(found[1]) < 0
    verdict = "merge" if "merge" in verdicts else "retest" if better and "retest" in verdicts else "discard"
    return {"reason": f"{delta}: {verdict}", "verdict": verdict, "repeats": 0, "together": []}


def main() -> None:
    prompt_file, answer_file, usage_file = map(Path, sys.argv[1:4])
    prompt = prompt_file.read_text()
    schema = re.search(r'^\{.*"properties".*\}$', prompt, re.MULTILINE)
    if schema:
        said = json.dumps(judge(prompt, json.loads(schema[0])))
        answer_file.write_text(said)
    else:
        said = propose(prompt)
        Path("PROPOSAL.md").write_text(said)
    used = {"input_tokens": len(prompt) // CHARS_A_TOKEN, "output_tokens": len(said) // CHARS_A_TOKEN}
    usage_file.write_text(json.dumps(used))


if __name__ == "__main__":
    main()
