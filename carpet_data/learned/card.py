"""The model card for people: what a model is, what it was made from, and what it must not be taken for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from carpet_data.store.files import write_bytes
from carpet_data.synthesis.engine.model_store import Fitted
from carpet_data.version import __version__

__all__ = ["NAME", "text", "versions", "write"]

NAME = "README.md"
_PACKAGES = ("numpy", "torch", "diffusers", "accelerate", "transformers", "peft")


def versions() -> dict[str, str]:
    """The versions of this program and of the packages that decide what a fit gives."""
    return {"carpet-data": __version__, **{name: found for name in _PACKAGES if (found := _version(name)) is not None}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write(fitted: Fitted, memorisation: str, pictures: Sequence[str] = ()) -> None:
    """Write the card of a model into its folder, see `text`."""
    write_bytes(fitted.folder / NAME, text(fitted, memorisation, pictures).encode(errors="backslashreplace"))


def text(fitted: Fitted, memorisation: str, pictures: Sequence[str] = ()) -> str:
    """The card as Markdown.

    Args:
        fitted: The model.
        memorisation: What was found about copies, as text.
        pictures: File names of pictures beside the card.
    """
    name = _cell(str(fitted.dataset.get("name", "")))
    license_text = _cell(str(fitted.dataset.get("license", ""))) or "unknown; ask whoever gave you the data"
    rows = {
        "method": f"{fitted.method}, version {fitted.version} (recipe {_cell(fitted.recipe)})",
        "data": f"{name}, train side of the split {fitted.split}",
        "licence of the data": license_text,
        "train images": f"{len(fitted.samples)} real ones, of which {len(fitted.read)} were looked at",
        "donors": ", ".join(f"{_cell(key)} {count}" for key, count in fitted.donors.items()),
        "steps": f"{fitted.steps} of {fitted.batch_size} crops, seed {fitted.seed}",
        "losses at the end": ", ".join(f"{_cell(key)} {value:.4g}" for key, value in fitted.losses.items()),
        "time": f"{fitted.seconds:.0f} s on {fitted.device}, {fitted.precision} precision, {_processes(fitted)}",
        "made": fitted.created,
        "with": ", ".join(f"{key} {value}" for key, value in fitted.versions.items()),
        "SHA-256 of the weights": f"`{fitted.weights_sha256}`",
        "SHA-256 of the data": f"`{fitted.data}`",
        "SHA-256 of the fit": f"`{fitted.fit}`",
    }
    values = "\n".join(f"- {_cell(key)}: {_cell(str(value))}" for key, value in fitted.parameters.items())
    notes = "".join(f"- {note}\n" for note in fitted.notes)
    return "\n".join(
        [
            f"# {fitted.method}, fitted to {name}",
            "",
            f"Makes defects of the classes {', '.join(map(_cell, fitted.classes))} on good images of the same kind.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {key} | {value} |" for key, value in rows.items() if value),
            "",
            "## Use",
            "",
            "In the data set that holds this folder:",
            "",
            "```text",
            f"carpet-data synthesize DATASET --recipe {fitted.recipe} --split {fitted.split} --class CLASS --n N",
            "```",
            "",
            "`--recipe` takes a recipe of your own by its file.",
            "",
            "## What it is not",
            "",
            "- It has seen the donors counted above and no others. It varies them; it knows no defect that they do not",
            "  show, so its images are no evidence of how such defects look in general.",
            "- It was fitted to the train side of one split. With another split, its images may show what that split",
            "  holds out; `carpet-data` refuses this.",
            "- Its images derive from the data, and so does the licence that they come under.",
            "- Whether they help a classifier is for `carpet-data validate` to say.",
            "",
            "## Copies",
            "",
            *_listed(memorisation),
            "",
            "## Values of the fit",
            "",
            values,
            "",
            *(["## Notes", "", notes] if notes else []),
            *(f"![{name.partition('.')[0]}]({name})\n" for name in pictures),
        ]
    )


def _listed(found: str) -> list[str]:
    """A first line, and those below it as a list."""
    first, *rest = found.splitlines() or ["Not measured."]
    return [_cell(first), *([""] if rest else []), *(f"- {_cell(line)}" for line in rest)]


def _processes(fitted: Fitted) -> str:
    return "1 process" if fitted.processes == 1 else f"{fitted.processes} processes"


def _cell(value: str) -> str:
    """Text that cannot end a cell of a table or become markup."""
    flat = " ".join(value.split())
    return "".join(f"\\{letter}" if letter in "\\|`*<>[]" else letter for letter in flat)
