"""The pure-Python model is the oracle of the torch model: same weights, same loss, same gradients."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from nanogpt import micro
from nanogpt.knobs import resolve
from nanogpt.model import GPT
from nanogpt.presets import Shape

SHAPE = Shape(
    vocab=11, depth=2, width=8, heads=2, kv_heads=2, head_dim=4, hidden=32, sequence=6, batch=1,
    windows=(6, 6), value_layers=(False, False),
)  # fmt: skip


@pytest.fixture(scope="module")
def both() -> tuple[GPT, micro.Weights]:
    """A torch model in float64, far from its initialization, and the same weights for micro."""
    model = GPT(SHAPE, resolve({})).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    weights = {
        name: [micro.Vector(row) for row in (tensor if tensor.dim() == 2 else tensor[None]).tolist()]
        for name, tensor in model.state_dict().items()
    }
    return model, weights


def test_same_loss_and_gradients(both: tuple[GPT, micro.Weights]) -> None:
    model, weights = both
    tokens, targets = [3, 1, 4, 1, 5, 9], [1, 4, 1, 5, 9, 2]
    tape = micro.Tape()
    expected = tape.surprise(micro.gpt(tape, weights, tokens, SHAPE.heads), targets)
    tape.backward(expected)
    loss, _ = model(torch.tensor([tokens]), torch.tensor([targets]))
    loss.backward()
    # Logits pass through float32 on purpose (see GPT.logits), which bounds the agreement.
    assert loss.item() == pytest.approx(expected.data[0], rel=1e-6)
    for name, parameter in model.named_parameters():
        oracle = torch.tensor([row.grad for row in weights[name]], dtype=torch.float64).view_as(parameter)
        torch.testing.assert_close(parameter.grad, oracle, rtol=1e-4, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}")


def test_names_and_shapes_are_the_torch_models(both: tuple[GPT, micro.Weights]) -> None:
    weights = micro.new_weights(SHAPE.vocab, SHAPE.depth, SHAPE.width, SHAPE.sequence)
    assert {name: (len(m), len(m[0].data)) for name, m in weights.items()} == {
        name: (len(m), len(m[0].data)) for name, m in both[1].items()
    }


def test_it_learns(capsys: pytest.CaptureFixture[str]) -> None:
    random.seed(0)
    sample = micro.train(steps=60)
    losses = [float(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert losses[-1] < losses[0] - 0.5
    assert len(sample) == 16 * 5


def test_at_most_200_lines_and_no_dependency() -> None:
    text = Path(micro.__file__).read_text()
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert len(text.splitlines()) <= 200
    assert imported <= {"__future__", "math", "random", "collections", "pathlib"}
