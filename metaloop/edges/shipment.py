"""The working directory as it goes to a cluster: one zip, without what nobody needs there.

The same files give the same bytes, so that a second launch uploads nothing.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from metaloop.vocabulary.errors import UsageError

LEFT_OUT = (
    ".*",
    "__pycache__",
    "*.egg-info",
    "runs",
    "mlruns",
    "mlartifacts",
    "mlflow.db",
    "node_modules",
)
"""Names that never go: what commands have made, environments, histories, caches."""
LIMIT = 100 * 1024 * 1024
"""Most bytes of the zip. Ray takes up to five times as much (``GCS_STORAGE_MAX_SIZE``), and keeps it in the memory of
its head node; a working directory of this size holds something that was not meant to travel."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip can name."""


def pack(root: Path, excludes: Sequence[str], package: Path) -> int:
    """Write everything below ``root`` that goes into ``package``; its bytes.

    Raises:
        UsageError: it is more than :data:`LIMIT`.
    """
    sizes: list[tuple[int, str]] = []
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in shipped_files(root, excludes):
            name = path.relative_to(root).as_posix()
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
            sizes.append((archive.getinfo(name).compress_size, name))
            if sum(size for size, _ in sizes) > LIMIT:
                _refuse(root, sizes)
    return package.stat().st_size


def _refuse(root: Path, sizes: list[tuple[int, str]]) -> None:
    largest = ", ".join(f"{name} ({size / 2**20:.0f} MiB)" for size, name in sorted(sizes, reverse=True)[:3])
    raise UsageError(
        f"{root} is more than {LIMIT // 2**20} MiB, packed: among the largest are {largest}. Leave files out with "
        "--exclude PATTERN, and put data where the cluster can read it."
    )


def shipped_files(root: Path, excludes: Sequence[str]) -> Iterator[Path]:
    """The files that go, in order of their paths. A pattern without a slash is for names, one with a slash for paths
    from ``root``. Symbolic links do not go."""
    for here, folders, files in os.walk(root):
        place = Path(here)
        folders[:] = sorted(name for name in folders if not _left_out(root, place / name, excludes))
        for name in sorted(files):
            path = place / name
            if not _left_out(root, path, excludes) and not path.is_symlink():
                yield path


def _left_out(root: Path, path: Path, excludes: Sequence[str]) -> bool:
    relative = path.relative_to(root).as_posix()
    if any(fnmatch(path.name, pattern) for pattern in LEFT_OUT):
        return True
    return any(fnmatch(relative if "/" in p.rstrip("/") else path.name, p.rstrip("/")) for p in excludes)
