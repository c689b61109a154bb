"""FiftyOne on a database of its own, so that the tests never see the one of the user who runs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def own_database(folder: Path) -> Any:
    """The module `fiftyone`, on its own MongoDB in `folder`, or on the one that other tests beside it have started.

    FiftyOne takes its database when it is imported, so one process has one.
    """
    loaded: Any = sys.modules.get("fiftyone")
    if loaded is None:
        os.environ["FIFTYONE_DATABASE_DIR"] = str(folder)
        os.environ["FIFTYONE_DATABASE_NAME"] = "carpet-data-tests"
    elif not Path(loaded.config.database_dir).is_relative_to(folder.parent):
        raise RuntimeError(f"FiftyOne was imported on {loaded.config.database_dir}, which is not of these tests")
    from carpet_data.fiftyone_bridge.connection import connect

    return connect()
