"""Why samples were grouped: one link between two samples a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from carpet_data.store import manifest
from carpet_data.store.files import replacing
from carpet_data.store.names import LINKS


def write(root: Path, made: Mapping[str, Any], links: Iterable[Mapping[str, Any]]) -> None:
    """Write the links of a data set.

    Args:
        root: The prepared folder.
        made: How they were found.
        links: Plain values of each, in order.
    """
    with replacing(root / LINKS) as file:
        file.write(manifest.to_line({"made": dict(made)}))
        for link in links:
            file.write(manifest.to_line(link))


def read(root: Path) -> Iterator[dict[str, Any]]:
    """The header of the links and then each of them; nothing where the folder has none.

    Raises:
        DataError: A line is damaged; it is named.
    """
    path = root / LINKS
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield manifest.parse_object(line, f"{path}, line {number}")
