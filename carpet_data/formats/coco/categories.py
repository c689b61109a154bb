"""The categories of COCO files: names by id, without those that only group others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD
from carpet_data.formats.annotated import Fault, is_text
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.coco.ids import Id, same_id, whole, wrong_id
from carpet_data.formats.coco.rules import is_ours
from carpet_data.formats.folders import is_background
from carpet_data.formats.problems import Problems

__all__ = ["Categories", "categories_of"]

_NO_GROUP = (None, "", "none", "None")


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of one file.

    Attributes:
        names: id -> name, of those that annotations may have.
        known: All ids that the file lists, those at fault too: what refers to them is not to blame.
    """

    names: Mapping[Any, str]
    known: frozenset[Id]

    def name_of(self, value: Any) -> str | Fault | None:
        """The defect type of a category_id, or what is wrong with it; None where its category is at fault."""
        key = same_id(value, self.known)
        name = None if key is None else self.names.get(key)
        if name == GOOD:
            return Fault(
                f"a defect cannot be of the category {GOOD!r}, the class without defects", "rename the category"
            )
        if name is not None:
            return name
        return None if key in self.known else Fault(f"its category_id {value!r} is not among the categories")


def categories_of(
    documents: Sequence[CocoDocument], problems: Problems
) -> tuple[list[Categories], dict[str, None], list[str]]:
    """The categories of each file, all names in the order of their ids, and notes on those that were dropped.

    A second file adds the names that the first did not have.
    """
    used = [_used(document) for document in documents]
    found = [_of_file(document, counts, problems) for document, counts in zip(documents, used, strict=True)]
    used_names = {names[key] for (names, _), counts in zip(found, used, strict=True) for key in counts if key in names}
    dropped = {
        name: reason
        for document, (names, _) in zip(documents, found, strict=True)
        for name, reason in _unwanted(document, names).items()
        if name not in used_names
    }
    ordered: dict[str, None] = {}
    for names, _ in found:
        ordered.update(dict.fromkeys(names[key] for key in sorted(names) if names[key] not in (GOOD, *dropped)))
    notes = [f"dropped the category {name}: {reason}" for name, reason in dropped.items()]
    notes += [note for document, counts in zip(documents, used, strict=True) for note in _repeated(document, counts)]
    notes += _backgrounds(found, used)
    return [Categories(names, known) for names, known in found], ordered, list(dict.fromkeys(notes))


def _used(document: CocoDocument) -> Counter[Id]:
    """category id -> number of its annotations."""
    listed = document.ids("categories")
    ids = (same_id(annotation.get("category_id"), listed) for annotation in document.annotations)
    return Counter(key for key in ids if key is not None)


def _of_file(
    document: CocoDocument, used: Mapping[Id, int], problems: Problems
) -> tuple[dict[Any, str], frozenset[Id]]:
    names: dict[Any, str] = {}
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    for position, category in enumerate(document.categories):
        where = f"{document.path} (category {category.get('id', f'at position {position}')})"
        key, name = whole(category.get("id")), category.get("name")
        if key is None:
            problems.say(f"the category's id {_wrong_number(category.get('id'))}", where)
        elif not is_text(name):
            said = "has no name" if name in (None, "") else f"has the name {name!r}, which is not text"
            problems.say(f"the category {said}", where, "give it a name, in quotes")
        elif names.get(key, name) != name:
            problems.say(f"two categories have the id {key}: {names[key]} and {name}", where)
        elif key not in names:
            names[key] = name
            by_name[name].append(key)
    for name, keys in by_name.items():
        with_annotations = [key for key in keys if used.get(key)]
        if len(with_annotations) > 1:
            listed = " and ".join(map(str, sorted(with_annotations)))
            what = f"two categories have the name {name}, and both have annotations: ids {listed}"
            problems.say(what, document.path, "give each category its own name, or join the two")
        for key in keys:
            if len(keys) > 1 and key != (with_annotations or keys)[0]:
                del names[key]
    return names, document.ids("categories")


def _wrong_number(value: Any) -> str:
    return f"is {value!r}, not a whole number" if is_text(value) else wrong_id(value)


def _unwanted(document: CocoDocument, names: Mapping[Any, str]) -> dict[str, str]:
    """name -> why a category without annotations is not a defect type: it groups others, or it is the background."""
    parents = Counter(
        parent
        for category in document.categories
        if is_text(parent := category.get("supercategory")) and parent != category.get("name")
    )
    found = {}
    for category in document.categories:
        name = category.get("name")
        if not is_text(name) or name not in names.values():
            continue
        # Our own exports put every class below "defect", which may be the name of a class.
        grouped = category.get("supercategory") in _NO_GROUP or not is_ours(document)
        if parents[name] and grouped:
            found[name] = "it has no annotations and is only the supercategory of others"
        elif is_background(name):
            found[name] = "it has no annotations, and its name says that it is not a defect"
    return found


def _repeated(document: CocoDocument, used: Mapping[Id, int]) -> list[str]:
    """Notes on categories of one name, of which at most one has annotations."""
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    for category in document.categories:
        key, name = whole(category.get("id")), category.get("name")
        if key is not None and is_text(name) and key not in by_name[name]:
            by_name[name].append(key)
    notes = []
    for name, keys in by_name.items():
        unused = [key for key in keys if not used.get(key)]
        if len(keys) > 1 and len(unused) >= len(keys) - 1:
            dropped = unused[-(len(keys) - 1) :]
            ids = ", ".join(map(str, dropped))
            notes.append(
                f"dropped the category of id {ids}: it has no annotations, and another one is called {name} too"
            )
    return notes


def _backgrounds(found: Sequence[tuple[dict[Any, str], frozenset[Id]]], used: Sequence[Mapping[Id, int]]) -> list[str]:
    counts: Counter[str] = Counter()
    for (names, _), of_file in zip(found, used, strict=True):
        for key, name in names.items():
            if is_background(name) and of_file.get(key):
                counts[name] += of_file[key]
    return [
        f"the category {name} has {counted(count, 'annotation')} and is read as a defect class"
        for name, count in counts.items()
    ]
