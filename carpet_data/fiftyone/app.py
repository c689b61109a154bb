"""The FiftyOne App: its port, its start, and waiting until people have seen enough."""

from __future__ import annotations

import contextlib
import errno
import importlib
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from carpet_data.errors import CarpetDataError, UsageError

__all__ = ["DEFAULT_ADDRESS", "DEFAULT_PORT", "AppError", "check_port", "serve"]

DEFAULT_PORT = 5151
DEFAULT_ADDRESS = "localhost"
_PATIENCE_S = 3.0
_START_S = 60.0
_PAUSE_S = 0.5
_MOST_COUNTED = 20_000
"""So many samples the App counts at every click without making people wait."""


class AppError(CarpetDataError):
    """The FiftyOne App cannot be started."""


def check_port(port: int, address: str = DEFAULT_ADDRESS) -> None:
    """Make sure that the App can listen there.

    Raises:
        AppError: The port is taken, or may not be used.
        UsageError: There is no such address on this machine.
    """
    where = f"{address}:{port}"
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"the address cannot be found ({error})", where=address, hint="give --address") from error
    for family, kind, protocol, _, target in found:
        with contextlib.closing(socket.socket(family, kind, protocol)) as trial:
            # As the App's server does: a port that waits for its last connections to end is free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                trial.bind(target)
            except OSError as error:
                _refuse(error, where, port, family)


def _refuse(error: OSError, where: str, port: int, family: int) -> None:
    if error.errno == errno.EADDRINUSE:
        raise AppError(
            f"port {port} is taken, maybe by another FiftyOne App",
            where=where,
            hint=f"close that program, or choose another port: --port {port + 1}",
        ) from error
    if error.errno == errno.EACCES:
        hint = "choose a port above 1023"
        raise AppError(f"port {port} may not be used ({error.strerror})", where=where, hint=hint) from error
    if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
        return  # localhost names an IPv6 address on machines without IPv6, too.
    raise UsageError(
        f"the App cannot listen there ({error.strerror})", where=where, hint="give an --address of this machine"
    ) from error


def serve(
    fiftyone: Any,
    dataset: Any,
    *,
    port: int = DEFAULT_PORT,
    address: str = DEFAULT_ADDRESS,
    remote: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Open the App on a dataset and wait until its last window is closed, or Ctrl-C.

    Args:
        fiftyone: The module.
        dataset: What to show.
        port: Where the App listens.
        address: On which address; the default is reached from this machine only.
        remote: Open no browser here, and wait until Ctrl-C.
        ready: Called with the App's address once it answers.

    Raises:
        AppError: The App's server does not start.
    """
    services: Any = importlib.import_module("fiftyone.core.service")
    config = fiftyone.app_config.copy()
    # With it the sidebar asks for names to be typed; without, it lists every class with its count.
    config.default_query_performance = len(dataset) > _MOST_COUNTED
    out = sys.stdout
    # FiftyOne prints hints to stdout, now and later; that is where our result goes, and may be read by a program.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            session = fiftyone.launch_app(dataset, port=port, address=address, remote=remote, config=config)
        except services.ServiceListenTimeout as error:
            raise AppError(
                "the App did not start within a minute", where=f"{address}:{port}", hint="try another --port"
            ) from error
        try:
            _wait_until_it_shows(session, f"{address}:{port}")
            if ready is not None:
                with contextlib.redirect_stdout(out):
                    ready(f"http://{address}:{port}/")
            # A remote window may come and go; a local one that is closed means that people have seen enough.
            session.wait(-1 if remote else _PATIENCE_S)
        finally:
            fiftyone.close_app()


def _wait_until_it_shows(session: Any, where: str) -> None:
    """Tell the server what to show until it has heard; its own connection may take a while on a busy machine."""
    until = time.monotonic() + _START_S
    while (problem := _tell(session)) is not None:
        if time.monotonic() > until:
            raise AppError("the App does not answer", where=where, hint="try another --port") from problem
        time.sleep(_PAUSE_S)


def _tell(session: Any) -> Exception | None:
    requests: Any = importlib.import_module("requests")
    try:
        session.refresh()
    except (RuntimeError, requests.RequestException) as error:
        found: Exception = error
        return found
    return None
