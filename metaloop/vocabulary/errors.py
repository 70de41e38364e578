"""Everything metaloop raises on purpose.

::

    MetaloopError                 a person can mend it; the command line prints it and exits with 2
    ├── FileError                 a file that people write is wrong: carries path and line
    │   ├── RoleFileError         a role file
    │   └── OrgFileError          an organization folder
    ├── UsageError                the command line's own arguments
    ├── JournalError              a journal that cannot be replayed: carries path and line
    ├── RepositoryError           git refused
    ├── StorageError              storage that a folder is mirrored to cannot be read or written
    │   └── TakenOver             another copy of the folder has gone on from there
    ├── BackendError              the cluster cannot host the run
    │   └── Preempted             the process was told that it would be stopped, and has stopped in order
    ├── ModelError                a model could not be brought to an answer
    ├── SourceError               a source of ideas gave nothing usable
    ├── EditError                 an edit does not apply to the file that it names
    ├── BudgetSpent               one more org run could exceed the GPU-hours that were granted
    └── TrainerError              the trainer cannot serve the request (never: a training that failed)

A training that diverges or crashes is a *result* (``ExperimentResult.state``), not an exception.
"""

from __future__ import annotations

from pathlib import Path


class MetaloopError(Exception):
    """Base of all errors that carry a message for a person."""


class FileError(MetaloopError):
    """A file that people write is wrong.

    The message reads ``path:line: what was found, what was expected. How to mend it.``
    """

    def __init__(self, path: Path | str, line: int | None, message: str) -> None:
        self.path = Path(path)
        self.line = line
        self.message = message
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {message}")

    def __reduce__(self) -> tuple[type[FileError], tuple[Path, int | None, str]]:
        """An error comes back from another process as what it was; by default it would be made of its one line."""
        return type(self), (self.path, self.line, self.message)


class RoleFileError(FileError):
    """A role file does not follow the format."""


class OrgFileError(FileError):
    """An organization folder does not follow the format."""


class UsageError(MetaloopError):
    """An argument of the command line makes no sense."""


class JournalError(FileError):
    """A journal that cannot be replayed."""


class RepositoryError(MetaloopError):
    """git refused an operation on an org run's repository."""


class StorageError(MetaloopError):
    """The storage that a folder is mirrored to cannot be read or written."""


class TakenOver(StorageError):
    """Another copy of the folder has taken over what it was mirrored to: this one may write nothing more there."""


class BackendError(MetaloopError):
    """The cluster cannot host the org run."""


class Preempted(BackendError):
    """The process was told that it would be stopped: nothing new was begun, and what could end has ended."""


class BudgetSpent(MetaloopError):
    """One more org run could exceed the GPU-hours that were granted; an evolution ends with what it has."""


class ModelError(MetaloopError):
    """A model could not be brought to an answer: no server, no client, or nothing but failures."""


class SourceError(MetaloopError):
    """A source of ideas gave nothing usable: not reached, not in time, or not what it should be."""


class EditError(MetaloopError):
    """An edit that does not apply to the file that it names, or leaves something that is no source code."""


class TrainerError(MetaloopError):
    """The trainer cannot serve a request: unknown preset, unknown knob, value out of range."""
