"""What a text-conditioned network is told about a class: plain words from a template."""

from __future__ import annotations

import string
from collections.abc import Mapping

__all__ = ["TEMPLATE", "checked", "prompt_of"]

TEMPLATE = "a close-up photo of {subject} with a {defect}"
_FIELDS = ("subject", "defect")


def checked(template: str) -> str:
    """The template, as it was given.

    Raises:
        ValueError: It has a field that nobody fills, or is no template.
    """
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if name not in _FIELDS or form or conversion:
            raise ValueError(f"{{{name}}} is no field of a prompt: there are {{subject}} and {{defect}}")
    return template


def prompt_of(class_name: str, *prompts: Mapping[str, str], template: str = TEMPLATE, subject: str) -> str:
    """The prompt of a class.

    Args:
        class_name: Of the data set; `metal_contamination` is read as "metal contamination".
        prompts: class -> template of its own; the first that has the class counts.
        template: For classes without one.
        subject: What the images show.
    """
    found = next((given[class_name] for given in prompts if class_name in given), template)
    return found.format(subject=subject, defect=class_name.replace("_", " ").strip())
