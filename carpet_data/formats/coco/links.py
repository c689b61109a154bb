"""Which annotations belong to which image entry, and which images are in doubt because some belong to none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core.text import counted
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.coco.ids import Id, id_of, same_id, wrong_id
from carpet_data.formats.problems import Problems

__all__ = ["Linked", "Unclear", "link", "say_doubtful", "say_unlisted"]

_LIST_IT = "list its image, or remove the annotation"


@dataclass(slots=True)
class Linked:
    """What one file says of one image id.

    Attributes:
        annotations: Those that refer to it, whose own ids are sound.
        faults: (what is wrong, where) of the others.
    """

    annotations: list[dict[str, Any]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Unclear:
    """What one file leaves open.

    Attributes:
        bare: Image id -> the file of a listed image without annotations.
        lost: Image ids of annotations that no image of the file has.
    """

    bare: dict[Id, Path] = field(default_factory=dict)
    lost: tuple[Id, ...] = ()


def link(document: CocoDocument, problems: Problems) -> tuple[dict[Id, Linked], int]:
    """image id -> its annotations; those without any image id are problems of the whole file.

    VIA writes "1" where the image has 1: what differs by that only is the same, and is counted.
    """
    found: defaultdict[Id, Linked] = defaultdict(Linked)
    listed = document.ids("images")
    respelled = 0
    ids = [id_of(annotation.get("id")) for annotation in document.annotations]
    times = Counter(key for key in ids if key is not None)
    for position, (key, annotation) in enumerate(zip(ids, document.annotations, strict=True)):
        where = f"{document.path} (annotation {f'at position {position}' if key is None else key})"
        image_id = id_of(annotation.get("image_id"))
        if image_id is None:
            what = f"the annotation's image_id {wrong_id(annotation.get('image_id'))}, so its image is unknown"
            problems.say(what, where, cause=("image_id", document.path, repr(annotation.get("image_id"))))
            continue
        meant = same_id(image_id, listed)
        if meant is not None and meant != image_id:
            image_id = meant
            respelled += 1
        if key is None:
            found[image_id].faults.append((f"the annotation's id {wrong_id(annotation.get('id'))}", where))
        elif times[key] > 1:
            found[image_id].faults.append((f"{counted(times[key], 'annotation')} have the id {key!r}", where))
        else:
            found[image_id].annotations.append(annotation)
    return dict(found), respelled


def say_unlisted(document: CocoDocument, by_image: Mapping[Id, Linked], problems: Problems) -> tuple[Id, ...]:
    """Say which image ids of annotations no image has, and return them.

    Where most annotations are lost, the references of the whole file are wrong: leaving out these images would turn the
    others into good ones.
    """
    listed = document.ids("images")
    lost = {key: linked for key, linked in by_image.items() if key not in listed}
    annotations = sum(len(linked.annotations) + len(linked.faults) for linked in lost.values())
    mostly = 2 * annotations > len(document.annotations)
    for key, linked in lost.items():
        count = len(linked.annotations) + len(linked.faults)
        first = linked.annotations[0].get("id") if linked.annotations else "at fault"
        more = f" (and {count - 1} more)" if count > 1 else ""
        where = f"{document.path} (annotation {first})"
        what = f"its image_id {key!r} is not among the images{more}"
        image = f"{document.path} (image {key}, not listed)"
        if mostly:
            problems.say(what, where, _LIST_IT, cause=("not listed", document.path))
        else:
            problems.say(what, image if problems.skip_faulty else where, _LIST_IT, image=image)
    return tuple(lost)


def say_doubtful(files: Sequence[Unclear], problems: Problems) -> None:
    """Leave out images without annotations that may have lost them.

    An annotation whose image is not listed may belong to any image of its file that has none, and to the image of its
    id in another file: none of these may become good because annotations were taken from it.
    """
    for number, file in enumerate(files if problems.skip_faulty else ()):
        for other, of_other in enumerate(files):
            doubtful = [
                path for key, path in of_other.bare.items() if file.lost and (other == number or key in file.lost)
            ]
            for path in doubtful:
                what = f"it has no annotations, and those of the unlisted image_id {file.lost[0]!r} may be its own"
                problems.say(what, path, _LIST_IT, image=path)
