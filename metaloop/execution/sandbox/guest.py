"""What a guest does behind its walls: train changed code on its shard, or turn token batches into logits.

Nothing here is trusted once changed code has run. The harness believes no word of a guest: a score is made of logits
that it asks another guest for, time and processor seconds are the kernel's, and every message has a bound.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import seed as seed_python
from types import CodeType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from metaloop.execution.sandbox import frames, landlock, modules, seccomp, walls
from metaloop.execution.sandbox.records import MESSAGE_CHARS, MIB, Files, Fitted, Hello, Limits, Logits, Task, Wall
from metaloop.execution.sandbox.tripwire import full_disk, tripwire

if TYPE_CHECKING:
    from torch import Tensor

    from nanogpt.model import GPT

CHANNEL, SHARD = 3, 4
"""Descriptors that the zygote lays out."""
TRIPPED = 97
"""Exit code of a guest that its own tripwire ended."""
JOB_LIMITS = {frames.JOB: 16 * MIB, frames.DATA: 16 * MIB, frames.WEIGHTS: 1 << 34}
TOKEN_LIMITS = {frames.TOKENS: 1 << 30}
NOWHERE = "/nowhere"

_codes: dict[str, CodeType] = {}
_watched: dict[str, Any] = {}


def prepare() -> None:
    """In the zygote: what every guest starts from."""
    import safetensors.torch  # noqa: F401
    import torch

    torch.set_num_threads(1)
    _warm_up()
    _codes.update(modules.originals())
    _watched.update(modules.watched())


def _warm_up() -> None:
    """Run the kernels of a forward pass once: PyTorch's libraries ask /proc what processor this is at their first use,
    and behind the walls there is no /proc to ask. No gradient: autograd's threads do not survive a fork."""
    import safetensors.torch
    import torch
    import torch.nn.functional as F

    with torch.no_grad():
        x = torch.ones(2, 8, 16)
        flat = F.layer_norm(F.gelu(F.linear(x, torch.ones(16, 16))), (16,)).reshape(-1)
        heads = x.view(2, 2, 8, 8)
        F.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
        torch.bmm(x, x.transpose(1, 2))
        F.conv1d(x, torch.ones(8, 8, 3))
        F.cross_entropy(x.view(-1, 16), torch.zeros(16, dtype=torch.int64))
        flat += torch.randn(flat.shape, generator=torch.Generator().manual_seed(0)).square().sqrt()
    safetensors.torch.load(safetensors.torch.save({"x": flat}))


def _wake_cuda() -> None:
    """Open the device and load the libraries of a training while there are files to open. Written, not run."""
    import torch
    import torch.nn.functional as F

    x = torch.ones(2, 2, 64, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    y = F.scaled_dot_product_attention(x, x, x, is_causal=True) @ x
    F.cross_entropy(y.float().flatten(0, 2), torch.zeros(256, dtype=torch.int64, device="cuda")).backward()  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()


def enter(limits: Limits, wall: Wall, has_shard: bool) -> None:
    """Build the walls, say which stand, then do what the harness asks."""
    shard = mmap.mmap(SHARD, 0, prot=mmap.PROT_READ) if has_shard else None
    if limits.gpu:
        _wake_cuda()
    wall, scratch = _raise_walls(limits, wall)
    walls.drop_privileges()
    files: Files = "none" if wall == "namespaces" else "landlock" if landlock.forbid_files() else "open"
    filtered = seccomp.install() if sys.platform == "linux" else False
    _forget_files()
    _say(frames.HELLO, msgspec.json.encode(Hello(wall, filtered, files)))
    kind, body = frames.receive(CHANNEL, JOB_LIMITS)
    task = msgspec.json.decode(body, type=Task)
    kind, body = frames.receive(CHANNEL, JOB_LIMITS)
    if limits.tripwire:
        sys.addaudithook(tripwire(scratch, _teller()))
    sys.meta_path.append(modules.Modules(_codes, task.code))
    if task.do == "fit":
        _fit(task, shard, np.frombuffer(body, dtype=np.int64), scratch)
    elif kind == frames.WEIGHTS:
        _serve(task, body)


def _raise_walls(limits: Limits, wall: Wall) -> tuple[Wall, str]:
    """Limits and root; returns which wall stands, and the scratch folder. Without namespaces, or where the kernel
    grants them but no mounts in them, there is none: nothing can be written."""
    if wall == "namespaces":
        try:
            root = tempfile.gettempdir()
            walls.limit(limits)  # first: it asks /proc what is held already
            walls.empty_root(root, limits.scratch_bytes)
            tempfile.tempdir = walls.SCRATCH
            return wall, walls.SCRATCH
        except OSError:
            pass
    walls.limit(msgspec.structs.replace(limits, scratch_bytes=0))
    os.chdir("/")
    return "rlimits", NOWHERE


def _forget_files() -> None:
    """No module comes from a file any more, and tracebacks quote none."""
    import linecache

    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, "__name__", "") in ("BuiltinImporter", "FrozenImporter")]
    linecache.updatecache = lambda *_: []


def _say(kind: bytes, body: bytes) -> None:
    frames.send(CHANNEL, kind, body)


def _teller() -> Callable[[str], None]:
    """Tells a tripwire's reason and ends the guest, by functions that nobody can replace afterwards."""
    write, leave, pack = os.write, os._exit, frames.pack

    def tell(reason: str) -> None:
        for part in pack(frames.TRIP, reason.encode(errors="replace")):
            write(CHANNEL, part)
        leave(TRIPPED)

    return tell


def _fit(task: Task, shard: mmap.mmap | None, token_bytes: np.ndarray[Any, Any], scratch: str) -> None:
    """Train once for each seed; hand over each result and, where it went well, the weights."""
    import torch

    tokens = np.frombuffer(shard or b"", dtype=task.token_type)
    tokens = tokens[: task.shard] if task.shard else tokens
    for seed in task.seeds:
        seed_python(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            said, weights = _trained(task, seed, tokens, token_bytes)
        except BaseException as error:  # SystemExit included: the guest's end is the harness's to judge
            said, weights = Fitted(_state(error), _last_line(error), 0, 0, 0.0), b""
        if _disk_is_full(scratch) or "[Errno 28]" in said.message or "[Errno 27]" in said.message:
            said, weights = msgspec.structs.replace(said, state="cheat", message="disk: filled its scratch space"), b""
        said = msgspec.structs.replace(said, message=said.message[:MESSAGE_CHARS], replaced=modules.replaced(_watched))
        _say(frames.RESULT, msgspec.json.encode(said))
        if said.state == "ok":
            _say(frames.WEIGHTS, weights)


def _state(error: BaseException) -> str:
    from nanogpt.memory import out_of_memory

    if full_disk(error):
        return "cheat"
    return "oom" if isinstance(error, Exception) and out_of_memory(error) else "crash"


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _disk_is_full(scratch: str) -> bool:
    return scratch != NOWHERE and os.statvfs(scratch).f_bfree == 0


def _trained(
    task: Task, seed: int, tokens: np.ndarray[Any, Any], token_bytes: np.ndarray[Any, Any]
) -> tuple[Fitted, bytes]:
    """One training by the changed code: what it says, and its weights in the safetensors format."""
    import safetensors.torch

    from nanogpt.prepare import Corpus
    from nanogpt.results import TrainRequest
    from nanogpt.train import fit

    corpus = Corpus("shard", task.vocab, token_bytes, {"train": tokens})
    request = TrainRequest(task.preset, task.knobs, seed, budget_fraction=task.budget_fraction)
    result, model = fit(request, corpus, task.device)
    said = Fitted(str(result.state), str(result.message), int(result.steps), int(result.tokens), float(result.flops))
    if said.state != "ok" or model is None:
        return said, b""
    # Parameters may be views of one flat vector, which the format does not store.
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}
    return said, safetensors.torch.save(weights)


def _serve(task: Task, weights: bytes) -> None:
    """Build the model and say so; then logits for every batch of tokens that comes, until no more come."""
    try:
        model = _restored(task, weights)
    except BaseException as error:
        _say(frames.RESULT, msgspec.json.encode(Fitted("crash", _last_line(error)[:MESSAGE_CHARS], 0, 0, 0.0)))
        return
    _say(frames.RESULT, msgspec.json.encode(Fitted("ok", "", 0, 0, 0.0)))
    while True:
        try:
            _, body = frames.receive(CHANNEL, TOKEN_LIMITS)
        except EOFError:
            return
        rows, length = (int(n) for n in np.frombuffer(body[:8], dtype=np.uint32))
        _hand_over(_logits(model, task.device, np.frombuffer(body[8:], dtype=np.int64).reshape(rows, length)))


def _restored(task: Task, weights: bytes) -> GPT:
    """The changed code's model with the trained weights, as it is evaluated."""
    import safetensors.torch

    from nanogpt.knobs import resolve
    from nanogpt.model import GPT
    from nanogpt.presets import preset, shape_of

    config = resolve(task.knobs)
    model = GPT(shape_of(config, preset(task.preset), task.vocab), config)
    model.load_state_dict(safetensors.torch.load(weights))
    return model.to(task.device).eval()


def _logits(model: GPT, device: str, tokens: np.ndarray[Any, Any]) -> Tensor:
    import torch

    autocast: AbstractContextManager[object] = (
        torch.autocast("cuda", dtype=torch.bfloat16) if device == "cuda" else nullcontext()
    )
    with torch.inference_mode(), autocast:
        return model.logits(torch.from_numpy(tokens.copy()).to(device))


def _hand_over(logits: Tensor) -> None:
    said = Logits(tuple(logits.shape), str(logits.dtype).removeprefix("torch."))
    _say(frames.RESULT, msgspec.json.encode(said))
    _say(frames.LOGITS, logits.contiguous().cpu().numpy().tobytes())
