"""The FiftyOne App: its port, its start, and waiting until its window is closed."""

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
from carpet_data.fiftyone.options import BrowseOptions

__all__ = ["AppError", "check_port", "serve"]

_PATIENCE_S = 3.0
_START_S = 60.0
_PAUSE_S = 0.5
_COUNTED_SAMPLES = 20_000
"""Maximum number of samples that the App counts at every click without making people wait."""


class AppError(CarpetDataError):
    """The FiftyOne App cannot be started."""


def check_port(port: int, address: str = "localhost") -> None:
    """Make sure that the App can listen there.

    Raises:
        AppError: The port is taken, or may not be used.
        UsageError: This machine does not have that address.
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
        what, hint = f"permission denied for port {port} ({error.strerror})", "choose a port above 1023"
        raise AppError(what, where=where, hint=hint) from error
    if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
        return  # localhost names an IPv6 address on machines without IPv6, too.
    raise UsageError(
        f"the App cannot listen there ({error.strerror})", where=where, hint="give an --address of this machine"
    ) from error


def serve(fiftyone: Any, dataset: Any, options: BrowseOptions, ready: Callable[[str], None]) -> None:
    """Open the App on a dataset and wait until its last window is closed, or Ctrl-C.

    `ready` is called with the App's address once it answers.

    Raises:
        AppError: The App's server does not start.
    """
    services: Any = importlib.import_module("fiftyone.core.service")
    port, address = options.port, options.address
    where = f"{address}:{port}"
    config = fiftyone.app_config.copy()
    # With it the sidebar asks for names to be typed; without, it lists every class with its count.
    config.default_query_performance = len(dataset) > _COUNTED_SAMPLES
    out = sys.stdout
    # FiftyOne prints hints to stdout, now and later; that is where our result goes, and may be read by a program.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            session = fiftyone.launch_app(dataset, port=port, address=address, remote=options.remote, config=config)
        except services.ServiceListenTimeout as error:
            hint = "try another --port"
            raise AppError("the App did not start within a minute", where=where, hint=hint) from error
        try:
            _wait_until_it_shows(session, where)
            with contextlib.redirect_stdout(out):
                ready(f"http://{where}/")
            # A remote window may come and go; a local one that is closed means that people have seen enough.
            session.wait(-1 if options.remote else _PATIENCE_S)
        finally:
            fiftyone.close_app()


def _wait_until_it_shows(session: Any, where: str) -> None:
    """Tell the server what to show until it has heard; its own connection may take a while on a busy machine."""
    requests: Any = importlib.import_module("requests")
    until = time.monotonic() + _START_S
    while True:
        try:
            session.refresh()
            return
        except (RuntimeError, requests.RequestException) as error:
            if time.monotonic() > until:
                raise AppError("the App does not answer", where=where, hint="try another --port") from error
        time.sleep(_PAUSE_S)
