"""The target's modules inside a guest, imported from memory: changed texts in place of the package's own."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, Final

PROTECTED: Final = ("sources", "prepare", "knobs", "presets", "results", "memory", "ranks")
"""Modules of the target that no experiment changes: data, metric, sizes and budgets."""
OPEN: Final = ("feed", "model", "optim", "schedule", "train")
PACKAGE: Final = "nanogpt"


class Modules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the target's open modules, and nothing else: ``codes`` are compiled originals by module name, ``changed``
    whole texts by path. A guest has no other way to import what is not loaded yet."""

    def __init__(self, codes: Mapping[str, CodeType], changed: Mapping[str, str]) -> None:
        self._codes = codes
        self._changed = {path.removesuffix(".py").replace("/", "."): text for path, text in changed.items()}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        known = fullname in self._changed or fullname in self._codes
        return importlib.machinery.ModuleSpec(fullname, self, origin=fullname) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        text = self._changed.get(name)
        # A name in brackets tells the standard library that there is no file to quote lines from.
        code = self._codes[name] if text is None else compile(text, f"<{name}>", "exec", dont_inherit=True)
        exec(code, module.__dict__)


def originals() -> dict[str, CodeType]:
    """Compiled code of the target's open modules, by name, without running it. Loads the protected modules."""
    for name in PROTECTED:
        importlib.import_module(f"{PACKAGE}.{name}")
    codes = {}
    for name in OPEN:
        spec = importlib.util.find_spec(f"{PACKAGE}.{name}")
        if spec is not None and isinstance(spec.loader, importlib.abc.InspectLoader):
            code = spec.loader.get_code(spec.name)
            if code is not None:
                codes[spec.name] = code
    return codes


def watched() -> dict[str, Any]:
    """What must not be replaced at run time, by name: the protected modules' own functions and classes, and what the
    loss is made of."""
    found: dict[str, Any] = {}
    for name in PROTECTED:
        module = sys.modules[f"{PACKAGE}.{name}"]
        found |= {
            f"{module.__name__}.{key}": value
            for key, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        }
    functional = sys.modules["torch.nn.functional"]
    torch = sys.modules["torch"]
    found |= {f"torch.nn.functional.{name}": getattr(functional, name) for name in ("cross_entropy", "log_softmax")}
    found |= {f"torch.{name}": getattr(torch, name) for name in ("log_softmax", "logsumexp", "isfinite")}
    return found


def replaced(before: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of :func:`watched` that now stand for something else."""
    changed = []
    for name, value in before.items():
        module, _, key = name.rpartition(".")
        if getattr(sys.modules.get(module), key, None) is not value:
            changed.append(name)
    return tuple(changed)
