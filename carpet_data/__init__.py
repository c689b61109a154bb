"""carpet-data: exact data sets from rare defect images.

    import carpet_data as cd

    ds = cd.read("carpet")
    image, mask = ds[0].image(), ds[0].mask()
    ds.of_class("hole").to_coco("out")

The public interface is what `__all__` names. `__init__.pyi` lists it, one import a line, for type checkers and for this
module, which imports a name when it is first used, so that `import carpet_data` stays quick. Verbs share their names
with the command line's.
"""

import importlib
import re
from pathlib import Path

from carpet_data.version import __version__ as __version__

_LISTED = re.compile(r"^from (\S+) import (\w+) as \2$", re.MULTILINE)
_HOMES = {name: module for module, name in _LISTED.findall(Path(__file__).with_suffix(".pyi").read_text("utf-8"))}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'carpet_data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
