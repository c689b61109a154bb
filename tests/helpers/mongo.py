"""FiftyOne on a database of its own, so that the tests never see the one of the user who runs them, nor each other's.

FiftyOne joins any database service of its own that runs on the machine; therefore the database is started here, and
FiftyOne is given its address. One process has one: FiftyOne takes its database when it is imported.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# It ends in order once our side of its input is closed, which also happens where this process is killed.
_UNTIL_WE_END = '"$@" >/dev/null & read -r _; kill $!; wait $!'
_START_S = 120.0


def own_database(folder: Path) -> Any:
    """The module `fiftyone`, on a MongoDB in `folder`, or on the one that was started before in this process."""
    if "fiftyone" not in sys.modules:
        os.environ["FIFTYONE_DATABASE_URI"] = started(folder)
        os.environ["FIFTYONE_DATABASE_NAME"] = "carpet-data-tests"
    elif "FIFTYONE_DATABASE_URI" not in os.environ:
        raise RuntimeError("FiftyOne was imported on a database that is not of these tests")
    from carpet_data.fiftyone.connection import connect

    return connect(wait_s=60)


def started(folder: Path) -> str:
    """Start the MongoDB that comes with FiftyOne, and give its address once it answers."""
    found = importlib.util.find_spec("fiftyone")
    assert found is not None
    assert found.submodule_search_locations
    program = Path(found.submodule_search_locations[0]) / "db" / "bin" / "mongod"
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    options = ["--dbpath", str(folder), "--port", str(port), "--nounixsocket", "--bind_ip", "127.0.0.1"]
    process = subprocess.Popen(
        ["bash", "-c", _UNTIL_WE_END, "mongod", str(program), *options, "--wiredTigerCacheSizeGB", "0.25"],
        stdin=subprocess.PIPE,
        # Ctrl-C is for the tests; the database ends after them.
        start_new_session=True,
    )
    atexit.register(_stop, process)
    until = time.monotonic() + _START_S
    while True:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return f"mongodb://127.0.0.1:{port}"
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"MongoDB did not start in {folder}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if "fiftyone.core.odm.database" in sys.modules:
        # FiftyOne never closes its clients by itself, and warns of that when the process ends.
        database: Any = importlib.import_module("fiftyone.core.odm.database")
        database._disconnect()
    assert process.stdin is not None
    process.stdin.close()
    process.wait(60)
