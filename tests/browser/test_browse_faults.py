"""What people get wrong with browse, each in a process of its own: an error with its hint, never a traceback."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.sources import write_source

pytestmark = [
    pytest.mark.xdist_group("fiftyone"),
    pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="the extra browse is not installed"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("raw") / "source", {"train/good": 2, "test/hole": 2})


def called(*arguments: object, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a fresh process that knows of no database yet; `code` runs before it."""
    start = f"import sys\n{code}\nfrom carpet_data.cli.app import main\nmain(sys.argv[1:])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    return subprocess.run(
        [sys.executable, "-c", start, "browse", *map(str, arguments)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def fault(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_port_that_is_taken_is_named_before_anything_is_loaded(root: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        done = called(root, "--port", port)
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert f"--port {port + 1}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_reached(root: Path) -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        uri = f"mongodb://me:secret@127.0.0.1:{trial.getsockname()[1]}"
    found = fault(called(root, "--no-launch", "--json", "--database-uri", uri))
    assert found["error"] == "DatabaseError"
    assert "does not answer" in found["what"]
    assert "secret" not in json.dumps(found)
    assert "without --database-uri" in found["hint"]


def test_without_a_database_named_the_one_of_fiftyone_is_started(root: Path, tmp_path: Path) -> None:
    # No service that runs already is joined: it may be that of the user who runs the tests.
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import fiftyone.service.util as util\n"
        "util.find_processes_by_args = lambda arguments: []\n"
    )
    # FiftyOne reads its settings when it is imported, which is sooner here than where browse imports it.
    quiet = {"FIFTYONE_LOGGING_LEVEL": "ERROR", "FIFTYONE_DO_NOT_TRACK": "true"}
    done = called(root, "--no-launch", "--json", code=code, FIFTYONE_DATABASE_DIR=str(tmp_path / "db"), **quiet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["added"] == 4, done.stdout
    assert (tmp_path / "db" / "WiredTiger").is_file()


def test_a_missing_mongod(root: Path, tmp_path: Path) -> None:
    # No service of other tests is joined, and the folder of the program is empty.
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import fiftyone.constants as constants, fiftyone.service.util as util\n"
        f"constants.FIFTYONE_DB_BIN_DIR = {str(tmp_path)!r}\n"
        "util.find_processes_by_args = lambda arguments: []\n"
    )
    found = fault(called(root, "--no-launch", "--json", code=code, FIFTYONE_DATABASE_DIR=str(tmp_path / "db")))
    assert "MongoDB that comes with FiftyOne is missing" in found["what"]
    assert "--database-uri" in found["hint"]


def test_fiftyone_that_is_not_installed(root: Path) -> None:
    code = (
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'fiftyone' else found(name, *rest)\n"
    )
    found = fault(called(root, "--no-launch", "--json", code=code))
    assert found["error"] == "MissingExtraError"
    assert "carpet-data[browse]" in found["hint"]


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    assert fault(called(tmp_path / "absent", "--no-launch", "--json"))["where"] == str(tmp_path / "absent")
