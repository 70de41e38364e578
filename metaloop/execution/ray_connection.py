"""Ray, started here or found at an address, and who may use it.

A cluster that was started where a token lies (``RAY_AUTH_TOKEN``, the file that ``RAY_AUTH_TOKEN_PATH`` names, or
``~/.ray/auth_token``) asks everyone for it. Ray 2.60 sends it of its own accord only to a local Ray that it started or
found by itself; to an address that is named, only with ``RAY_AUTH_MODE=token``
(``ray/_private/authentication/authentication_token_setup.py``). Here it is sent to every cluster that asks for one.
Whoever sends a token also asks for it, from the cluster's head too: sent to a cluster that knows none, it would have
the head be refused when it looks after our actors, which Ray then reports as cancelled.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from metaloop.vocabulary.errors import BackendError

AUTH_MODE = "RAY_AUTH_MODE"
TOKEN_HELP = (
    "Put the cluster's token (`ray get-auth-token` on its head node) into ~/.ray/auth_token or RAY_AUTH_TOKEN here."
)
CONNECT_S = 10.0
CURRENT = Path("/tmp/ray/ray_current_cluster")
"""Where ``ray start`` leaves the address that ``auto`` means."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray starts workers at niceness 15: any other process would then slow the trainings that are being measured.
    "RAY_worker_niceness": "0",
}


def start_ray(address: str | None) -> Any:
    """Ray, connected; a local one (``address`` None) starts quietly, without dashboard and usage reports.

    Raises:
        BackendError: nobody answers at ``address``, or the token is wrong.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address is not None:
        if address.startswith(("http://", "https://")):
            raise BackendError(
                f"{address} is a job server, which `metaloop launch` takes; --address here is where Ray itself "
                "listens: HEAD:6379, or `auto` on a node of the cluster."
            )
        check_listening(address)
        if asks_for_token(address):
            send_token()
    import ray
    import ray.util.scheduling_strategies

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        options |= {"include_dashboard": False, "address": "local"}
    else:
        options |= {"address": address}
    try:
        with contextlib.suppress(RuntimeWarning):
            ray.init(**options)
    except ray.exceptions.AuthenticationError:
        raise BackendError(f"the Ray cluster at {address} asks for another token. {TOKEN_HELP}") from None
    except ConnectionError as error:
        refused = f" Or its token is another one. {TOKEN_HELP}" if address else ""
        raise BackendError(f"Ray could not be reached: {last_line(error)}.{refused}") from None
    except (RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise BackendError(f"Ray could not be reached or started: {last_line(error)}") from None
    return ray


def check_listening(address: str) -> None:
    """Say at once what Ray says after two minutes.

    Raises:
        BackendError: nobody listens there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        reason = error.strerror or "it does not answer"
        raise BackendError(f"no Ray at {address}: {reason}. Start one there with `ray start --head`.") from None


def send_token() -> None:
    """From now on Ray shows the token that this machine has, if any; to be called before Ray is imported."""
    if AUTH_MODE not in os.environ and has_token():
        os.environ[AUTH_MODE] = "token"


def asks_for_token(address: str) -> bool:
    """Whether the cluster at ``address`` refuses who comes without a token. Where that cannot be found out (a Ray
    client's address, an answer that does not come), it is taken to."""
    import grpc

    where = CURRENT.read_text().strip() if address == "auto" and CURRENT.exists() else address
    if "://" in where or ":" not in where:
        return True
    with grpc.insecure_channel(where) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")(b"", timeout=CONNECT_S)
        except grpc.RpcError as refusal:
            return bool(refusal.code() != grpc.StatusCode.INVALID_ARGUMENT)
    return False


def has_token() -> bool:
    """Whether there is a token where Ray looks for one."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    return path.is_file() and bool(path.read_text().strip())


def last_line(error: BaseException) -> str:
    """An error of Ray's in one line: the last one says what it is."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
