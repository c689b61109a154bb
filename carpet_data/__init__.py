"""carpet-data: exact data sets from rare defect images.

The public interface is what `__all__` names; each name is imported when it is first used, so that
`import carpet_data` stays quick.
"""

from __future__ import annotations

import importlib
from typing import Any

from carpet_data.version import __version__

# name -> module that holds it. Verbs share their name with the command line's.
_EXPORTS: dict[str, str] = {
    "CarpetDataError": "carpet_data.errors",
    "DataError": "carpet_data.errors",
    "Dataset": "carpet_data.samples",
    "Instance": "carpet_data.samples",
    "Sample": "carpet_data.samples",
    "Split": "carpet_data.samples",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module 'carpet_data' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
