"""Recipe files: found, read strictly, extended, validated, with the line of every problem."""

from __future__ import annotations

import importlib.resources
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from carpet_data.errors import DataError, ProblemsError, UsageError, nearest
from carpet_data.synthesis.recipe import registry, strict_yaml
from carpet_data.synthesis.recipe import shipped as shipped_files
from carpet_data.synthesis.recipe.model import Envelope, Recipe
from carpet_data.synthesis.recipe.strict_yaml import Document, Place

M = TypeVar("M", bound=BaseModel)

__all__ = ["find", "folder", "load", "named", "shipped"]

_MAX_EXTENDED = 16


def folder() -> Path:
    """Where the shipped recipes lie: in the package once installed, at the top of a checkout."""
    inside = Path(str(importlib.resources.files("carpet_data") / "recipes"))
    return inside if inside.is_dir() else inside.parents[1] / "recipes"


def shipped() -> tuple[str, ...]:
    """The names of the shipped recipes, sorted."""
    return shipped_files.names(folder())


def find(name: str) -> Path:
    """The file of a recipe, given a shipped name or the path of a file.

    Raises:
        UsageError: It is neither; the nearest shipped name is offered.
    """
    return shipped_files.find(name, folder(), "recipe")


def load(name: str | os.PathLike[str]) -> Recipe:
    """Read and validate a recipe file, given a shipped name or the path of a file.

    Raises:
        UsageError: There is no such recipe.
        DataError: The file is not YAML as this program reads it.
        ProblemsError: Fields are unknown or invalid; each is named with its file and line.
    """
    path = find(name) if isinstance(name, str) else Path(name)
    return validate(_extended(path, ()), path)


def validate(document: Document, path: Path) -> Recipe:
    """The recipe of a document; `path` names it.

    Raises:
        ProblemsError: As `load`.
    """
    values = {key: value for key, value in document.values.items() if key != "extends"}
    parameters = values.get("parameters")
    problems = [
        DataError(f"{needed} is missing", where=path, hint="start with `schema: 1`, `method:` and `version:`")
        for needed in ("schema", "method", "version")
        if needed not in values
    ]
    if parameters is None:
        parameters = values["parameters"] = {}  # `parameters:` with nothing but comments below it
    envelope = _checked(Envelope, values, (), document, path, problems)
    target = None
    if isinstance(values.get("method"), str):
        try:
            target = registry.METHODS.target(values["method"])
        except UsageError as error:
            problems.append(DataError(error.what, where=document.where(("method",), path), hint=error.hint))
    checked = None
    if target is not None and isinstance(parameters, dict):
        method = registry.load(target)
        version = values.get("version")
        if isinstance(version, int) and version != method.version:
            problems.append(
                DataError(
                    f"the recipe is for version {version} of {values['method']}; installed is version {method.version}",
                    where=document.where(("version",), path),
                    hint=f"set version: {method.version} and check the new results",
                )
            )
        checked = _checked(method.Parameters, parameters, ("parameters",), document, path, problems)
    if problems or envelope is None or checked is None or target is None:
        raise ProblemsError.of(problems)
    return Recipe(path.stem, envelope, checked, target, path)


def named(recipe: Recipe) -> str:
    """A recipe as --recipe takes it: a shipped name, or the file that it was read from, quoted for a shell."""
    is_shipped = recipe.file is None or recipe.file.parent == folder()
    return recipe.name if is_shipped else shlex.quote(str(recipe.file))


def _extended(path: Path, above: tuple[Path, ...]) -> Document:
    """A document merged over the one that it extends, and so on."""
    document = strict_yaml.read(path)
    base = document.values.get("extends")
    if base is None:
        return document
    where = document.where(("extends",), path)
    if not isinstance(base, str):
        raise DataError("invalid `extends`: not a name", where=where, hint="name a shipped recipe or a recipe file")
    is_file = base.endswith((".yaml", ".yml")) or "/" in base
    try:
        # A file is named from where the recipe lies, so that both can move together.
        target = find(str(path.parent / base) if is_file else base)
    except UsageError as error:
        raise DataError(error.what, where=where, hint=error.hint) from error
    chain = (*above, path.resolve())
    if target.resolve() in chain or len(chain) > _MAX_EXTENDED:
        names = " -> ".join(each.name for each in (*chain, target))
        raise DataError(f"circular `extends`: {names}", where=where, hint="remove one of them")
    under = _extended(target, chain)
    method = document.values.get("method")
    if method is not None and method != under.values.get("method"):
        raise DataError(
            f"the method is {method!r}, but {base} is a recipe of {under.values.get('method')!r}",
            where=document.where(("method",), path),
            hint="leave `method` out, or extend a recipe of that method",
        )
    merged = _merged(under.values, {key: value for key, value in document.values.items() if key != "extends"})
    return Document(merged, {**under.lines, **document.lines})


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _checked(
    model: type[M],
    values: dict[str, Any],
    place: Place,
    document: Document,
    path: Path,
    problems: list[DataError],
) -> M | None:
    try:
        # As JSON, because only there strictness lets a list be a tuple and still refuses text for a number.
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            if found["type"] == "missing" and not place:
                continue  # already reported, with what to write
            problems.append(_problem(model, found, place, document, path))
        return None


def _problem(model: type[BaseModel], found: Any, place: Place, document: Document, path: Path) -> DataError:
    loc: Place = found["loc"]
    where = document.where((*place, *loc), path)
    name = ".".join(str(part) for part in (*place, *loc))
    if found["type"] == "extra_forbidden":
        known = _fields(model, loc[:-1])
        hint = nearest(str(loc[-1]), known).strip() or f"the fields here are {', '.join(known) or 'none'}"
        return DataError(f"unknown field {name!r}", where=where, hint=hint)
    given = found["input"]
    shown = f", not {json.dumps(given, ensure_ascii=False)}" if isinstance(given, str | int | float) else ""
    message = found["msg"].removeprefix("Value error, ")
    return DataError(f"{name}: {message[:1].lower()}{message[1:]}{shown}", where=where, hint="correct the value")


def _fields(model: type[BaseModel], loc: Place) -> list[str]:
    for part in loc:
        field = model.model_fields.get(str(part))
        inner = None if field is None else field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]
