"""Ray's job server (on the head node's dashboard): what is submitted to it, what runs there, what it printed.

It is reached over HTTP, so that a laptop needs no Ray of its own and no open port but one. Ray's client lets the
environment win over the address that it is given; here a given address counts.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from metaloop.execution.ray_connection import TOKEN_HELP, check_listening, send_token
from metaloop.vocabulary.errors import BackendError

OURS = "metaloop"
"""Key in a job's metadata that marks it as submitted by metaloop; its value is the command."""
PLACE = "metaloop_place"
"""Key in a job's metadata: where its folder is."""
_OVER = ("SUCCEEDED", "FAILED", "STOPPED")
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
"""Loggers of Ray's client that tell of every upload."""
SETTLE_S = 10.0
"""How long after its last line a job may take to be called over."""


class Job(msgspec.Struct, frozen=True):
    """A job as its server tells of it; times in Unix seconds, 0 where it has not come to that."""

    id: str
    status: str
    command: str
    place: str
    message: str
    began: float
    ended: float
    exit_code: int | None

    @property
    def over(self) -> bool:
        return self.status in _OVER


class Submission(msgspec.Struct, frozen=True):
    """A command to run on the cluster's head node in ``package``, a zip of the working directory, which every process
    of the job has first on its path. ``requirements``: a pip file that is installed for the job; "" for none."""

    id: str
    kind: str
    command: str
    package: str
    place: str
    environment: dict[str, str] = {}
    requirements: str = ""


class JobServer:
    """The job server at ``address``: ``http://HEAD:8265``, a Ray address (``HEAD:6379``, ``auto``), or None for the
    environment's or this machine's.

    Raises:
        BackendError: from every method, where the server cannot be reached or refuses.
    """

    def __init__(self, address: str | None) -> None:
        where = address or next((os.environ[name] for name in _ADDRESSES if os.environ.get(name)), "this machine")
        self._where = where
        if address is not None:
            for name in _ADDRESSES:
                os.environ.pop(name, None)
            if not address.startswith(("http://", "https://")):
                check_listening(address)
        send_token()
        with self._told():
            from ray.job_submission import JobSubmissionClient

            logging.getLogger("ray").setLevel(logging.WARNING)
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(logging.WARNING)
            self._client = JobSubmissionClient(address)

    def submit(self, submission: Submission) -> None:
        """Upload the package and start the job."""
        environment: dict[str, Any] = {
            "working_dir": submission.package,
            "env_vars": {"RAY_worker_niceness": "0", **submission.environment},
        }
        if submission.requirements:
            environment["pip"] = submission.requirements
        with self._told():
            self._client.submit_job(
                entrypoint=submission.command,
                submission_id=submission.id,
                runtime_env=environment,
                metadata={OURS: submission.kind, PLACE: submission.place},
            )

    def jobs(self) -> list[Job]:
        """All jobs that metaloop submitted, oldest first."""
        with self._told():
            found = [job for job in self._client.list_jobs() if OURS in (job.metadata or {})]
        return sorted(map(_job, found), key=lambda job: job.began)

    def job(self, name: str) -> Job:
        """One job."""
        with self._told(name):
            return _job(self._client.get_job_info(name))

    def stop(self, name: str) -> bool:
        """Ask a job to end; whether it was running."""
        with self._told(name):
            return bool(self._client.stop_job(name))

    def logs(self, name: str) -> str:
        """What the job has printed so far."""
        with self._told(name):
            return str(self._client.get_job_logs(name))

    def follow(self, name: str, write: Callable[[str], None], sleep: Callable[[float], None]) -> Job:
        """Pass on what the job prints until it is over."""

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(name):
                write(lines)

        with self._told(name):
            asyncio.run(tail())
        for _ in range(int(SETTLE_S / 0.2)):
            if self.job(name).over:
                break
            sleep(0.2)
        return self.job(name)

    @contextmanager
    def _told(self, name: str = "") -> Iterator[None]:
        """One line for what Ray's client raises."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError:
            raise BackendError(f"the job server at {self._where} asks for a token that we lack. {TOKEN_HELP}") from None
        except (ConnectionError, OSError) as error:
            raise BackendError(
                f"no job server at {self._where}: {_first_line(error)} It belongs to the dashboard of the head node "
                "(`ray start --head --dashboard-host=0.0.0.0`, port 8265); is it on, and can it be reached from here?"
            ) from None
        except Exception as error:  # aiohttp's, requests' and Ray's own, of many kinds
            if name and "does not exist" in str(error):
                raise BackendError(f"no job {name!r}. `metaloop launch status` lists those that there are.") from None
            raise BackendError(f"the job server at {self._where} refused: {_first_line(error)}") from None


def _job(details: Any) -> Job:
    metadata: Mapping[str, str] = details.metadata or {}
    return Job(
        id=details.submission_id or "",
        status=str(details.status),
        command=details.entrypoint,
        place=metadata.get(PLACE, ""),
        message=" ".join((details.message or "").split())[:500],
        began=(details.start_time or 0) / 1000,
        ended=(details.end_time or 0) / 1000,
        exit_code=details.driver_exit_code,
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0][:300] if lines else type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
