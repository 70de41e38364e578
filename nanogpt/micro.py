"""All of it in pure Python: data, gradients, GPT, Adam, training, sampling. `python -m nanogpt.micro`

Nothing here is fast and nothing is hidden. It learns to write its own source code. The model is exactly the plain
configuration of `model.py` and its weights have the same names, so the tests check that one against this one.
"""
# ruff: noqa: B905 -- zip's strict=True on every line would hide the mathematics

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

Matrix = list["Vector"]
Weights = dict[str, Matrix]  # a vector of weights is a matrix of one row


class Vector:
    """A list of numbers and, after `backward`, the derivative of the loss by each of them."""

    def __init__(self, data: list[float]) -> None:
        self.data, self.grad = data, [0.0] * len(data)


class Tape:
    """Remembers how to undo every operation, so that `backward` can run them last to first."""

    def __init__(self) -> None:
        self.undo: list[Callable[[], None]] = []

    def backward(self, loss: Vector) -> None:
        """Fill in the gradients of everything that `loss` came from."""
        loss.grad = [1.0]
        for undo in reversed(self.undo):
            undo()

    def add(self, a: Vector, b: Vector) -> Vector:
        """a + b."""
        out = Vector([x + y for x, y in zip(a.data, b.data)])

        @self.undo.append
        def undo() -> None:
            for i, g in enumerate(out.grad):
                a.grad[i] += g
                b.grad[i] += g

        return out

    def linear(self, rows: Matrix, x: Vector) -> Vector:
        """The dot product of x with every row."""
        out = Vector([sum(w * v for w, v in zip(row.data, x.data)) for row in rows])

        @self.undo.append
        def undo() -> None:
            for row, g in zip(rows, out.grad):
                for i, v in enumerate(x.data):
                    row.grad[i] += g * v
                    x.grad[i] += g * row.data[i]

        return out

    def norm(self, gain: Vector, x: Vector) -> Vector:
        """LayerNorm (Ba et al. 2016, arXiv:1607.06450): zero mean, unit variance, times a gain."""
        n, mean = len(x.data), sum(x.data) / len(x.data)
        scale = (sum((v - mean) ** 2 for v in x.data) / n + 1e-5) ** -0.5
        unit = [(v - mean) * scale for v in x.data]
        out = Vector([g * u for g, u in zip(gain.data, unit)])

        @self.undo.append
        def undo() -> None:
            pull = [g * w for g, w in zip(out.grad, gain.data)]
            average, along = sum(pull) / n, sum(p * u for p, u in zip(pull, unit)) / n
            for i in range(n):
                gain.grad[i] += out.grad[i] * unit[i]
                x.grad[i] += scale * (pull[i] - average - unit[i] * along)

        return out

    def gelu(self, x: Vector) -> Vector:
        """x times the normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
        below = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.data]
        out = Vector([v * p for v, p in zip(x.data, below)])

        @self.undo.append
        def undo() -> None:
            for i, v in enumerate(x.data):
                density = math.exp(-v * v / 2) / math.sqrt(2 * math.pi)
                x.grad[i] += out.grad[i] * (below[i] + v * density)

        return out

    def attend(self, now: Vector, past: Matrix, heads: int) -> Vector:
        """Mix the values of `past` (`now` is its last) by softmax(q k / sqrt(D)); vectors are q, k, v in a row."""
        width, size = len(now.data) // 3, len(now.data) // 3 // heads
        out, shares = Vector([0.0] * width), []
        for h in range(0, width, size):
            dots = [sum(now.data[i] * then.data[width + i] for i in range(h, h + size)) for then in past]
            shares.append(share := softmax([dot / math.sqrt(size) for dot in dots]))
            for i in range(h, h + size):
                out.data[i] = sum(p * then.data[2 * width + i] for p, then in zip(share, past))

        @self.undo.append
        def undo() -> None:
            for h, share in zip(range(0, width, size), shares):
                pulls = [sum(out.grad[i] * t.data[2 * width + i] for i in range(h, h + size)) for t in past]
                average = sum(p * g for p, g in zip(share, pulls))
                for p, pull, then in zip(share, pulls, past):
                    score = p * (pull - average) / math.sqrt(size)
                    for i in range(h, h + size):
                        now.grad[i] += score * then.data[width + i]
                        then.grad[width + i] += score * now.data[i]
                        then.grad[2 * width + i] += p * out.grad[i]

        return out

    def surprise(self, logits: list[Vector], targets: list[int]) -> Vector:
        """Mean cross-entropy of the targets, in nats."""
        chances, n = [softmax(vector.data) for vector in logits], len(targets)
        out = Vector([-sum(math.log(p[t]) for p, t in zip(chances, targets)) / n])

        @self.undo.append
        def undo() -> None:
            for vector, chance, target in zip(logits, chances, targets):
                for i, p in enumerate(chance):
                    vector.grad[i] += out.grad[0] * (p - (i == target)) / n

        return out


def softmax(scores: list[float]) -> list[float]:
    """Shares that sum to 1, in proportion to exp(score)."""
    top = max(scores)
    parts = [math.exp(s - top) for s in scores]
    total = sum(parts)
    return [part / total for part in parts]


def gpt(tape: Tape, weights: Weights, tokens: list[int], heads: int) -> list[Vector]:
    """The logits of the next token after each token."""
    table, places = weights["token_table"], weights["position_table"]
    stream = [tape.add(table[token], places[t]) for t, token in enumerate(tokens)]
    for name in (key.removesuffix("mlp.up") for key in weights if key.endswith("mlp.up")):
        gain = weights[name + "attention_norm.gain"][0]
        qkv = [tape.linear(weights[name + "attention.qkv"], tape.norm(gain, x)) for x in stream]
        mixed = [tape.attend(now, qkv[: t + 1], heads) for t, now in enumerate(qkv)]
        stream = [tape.add(x, tape.linear(weights[name + "attention.out"], y)) for x, y in zip(stream, mixed)]
        gain = weights[name + "mlp_norm.gain"][0]
        inner = [tape.gelu(tape.linear(weights[name + "mlp.up"], tape.norm(gain, x))) for x in stream]
        stream = [tape.add(x, tape.linear(weights[name + "mlp.down"], y)) for x, y in zip(stream, inner)]
    return [
        tape.linear(table, tape.norm(weights["final_norm.gain"][0], x)) for x in stream
    ]  # the head is the embedding, tied


def new_weights(vocab: int, depth: int, width: int, length: int) -> Weights:
    """GPT-2's initialization: normal with deviation 0.02, residual projections divided by sqrt(2 depth)."""
    residual = 0.02 / math.sqrt(2 * depth)
    layout = {"token_table": (vocab, width, 0.02), "position_table": (length, width, 0.02)}
    for block in (f"blocks.{i}." for i in range(depth)):
        layout |= {block + "attention.qkv": (3 * width, width, 0.02), block + "mlp.up": (4 * width, width, 0.02)}
        layout |= {block + "attention.out": (width, width, residual), block + "mlp.down": (width, 4 * width, residual)}
    weights = {
        name: [Vector([random.gauss(0, std) for _ in range(columns)]) for _ in range(rows)]
        for name, (rows, columns, std) in layout.items()
    }
    gains = [f"blocks.{i}.{place}_norm.gain" for i in range(depth) for place in ("attention", "mlp")]
    return weights | {name: [Vector([1.0] * width)] for name in (*gains, "final_norm.gain")}


def train(steps: int = 200, depth: int = 1, width: int = 16, length: int = 16, heads: int = 4, lr: float = 0.01) -> str:
    """Train on this file's text with Adam (arXiv:1412.6980), falling rate; returns a sample."""
    letters = sorted(set(text := Path(__file__).read_text()))
    tokens = [letters.index(c) for c in text]
    weights = new_weights(len(letters), depth, width, length)
    rows, out = [row for matrix in weights.values() for row in matrix], tokens[:length]
    means, squares = ([[0.0] * len(row.data) for row in rows] for _ in range(2))
    for step in range(1, steps + 1):
        start, tape = random.randrange(len(tokens) - length), Tape()
        logits = gpt(tape, weights, tokens[start : start + length], heads)
        loss = tape.surprise(logits, tokens[start + 1 : start + length + 1])
        tape.backward(loss)
        for row, mean, square in zip(rows, means, squares):
            for i, g in enumerate(row.grad):
                mean[i] += 0.1 * (g - mean[i])
                square[i] += 0.05 * (g * g - square[i])
                move = mean[i] / (1 - 0.9**step) / ((square[i] / (1 - 0.95**step)) ** 0.5 + 1e-8)
                row.data[i] -= lr * (1 - (step - 1) / steps) * move
                row.grad[i] = 0.0
        if step % 20 == 0 or step == 1:
            print(f"step {step}: {loss.data[0]:.3f} nats")
    for _ in range(4 * length):
        last = gpt(Tape(), weights, out[-length:], heads)[-1]
        out += random.choices(range(len(letters)), softmax(last.data))
    return "".join(letters[token] for token in out)


if __name__ == "__main__":
    random.seed(0)
    print(train())
