"""The tables of benchmarks/EVIDENCE.md, from the metrics that benchmarks/evidence.py keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anomaly_tables
import dense_tables
from evidence_pools import LEFT_OUT

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD


def _took(values: Mapping[str, Any]) -> str:
    """How long it took; where fits were made before, in parts, the second table has their seconds."""
    return "" if "quality" in values else f", {values['minutes']} minutes"


def table(values: dict[str, Any]) -> str:
    """The Markdown of one protocol."""
    if "models" in values:
        return anomaly_tables.table(values)
    if "tasks" in values:
        return dense_tables.table(values)
    contrasts = {contrast["condition"]: contrast for contrast in values["contrasts"]}
    scored = values["test_units"].get(GOOD, 0) > 0
    lines: list[str | None] = [
        f"### {values['title']}",
        "",
        f"{counted(len(values['partitions']), 'partition')}, {values['seeds']} seeds{_took(values)}. "
        f"Groups of test images: {', '.join(f'{name} {count}' for name, count in values['test_units'].items())}."
        + _fitting(values),
        "",
        "| condition | real + synthetic images | balanced accuracy | macro F1 | recall of good | type accuracy "
        "| difference to the baseline | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in values["conditions"].items():
        contrast = contrasts.get(name)
        paired = None if contrast is None else _paired(contrast)
        balanced, macro = _scores(row)
        kind = values["type_accuracy"][name]
        share = kind["right"] / kind["images"] if kind["images"] else 0.0
        lines.append(
            f"| {name} | {row['real_images']} + {row['synthetic_images']} | {_figure(balanced)} "
            f"| {_figure(macro)} | {_figure(_recalls(row)[GOOD]) if scored else '–'} "
            f"| {share:.3f} ({kind['low']:.3f} to {kind['high']:.3f}) | "
            + (
                "baseline | |"
                if contrast is None
                else f"{contrast['difference']:+.3f}{_between(paired)} | {_p(paired)} |"
            )
        )
    recalls = [name for name in values["classes"] if values["test_units"].get(name, 0)]
    lines += ["", "| recall of | " + " | ".join(recalls) + " |", "|---|" + "---|" * len(recalls)]
    for name, row in values["conditions"].items():
        lines.append(f"| {name} | " + " | ".join(f"{_recalls(row)[each]['value']:.2f}" for each in recalls) + " |")
    if len(values["partitions"]) > 1 and not values["pooled"]:
        shown = [*values["partitions"]]
        lines += ["", "| balanced accuracy in | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
        for name, row in values["conditions"].items():
            lines.append(f"| {name} | " + " | ".join(f"{row['by_partition'][each]:.3f}" for each in shown) + " |")
    lines += ["", *(f"- **{verdict['verdict']}**: {verdict['sentence']}" for verdict in values["verdicts"])]
    lines += [_over_partitions(contrasts[verdict["condition"]]) for verdict in values["verdicts"]]
    lines += [f"- {warning}" for warning in values.get("notes", values.get("warnings", []))]
    if "quality" in values:
        lines += ["", _quality_caption(values["quality"]), "", quality_table(values["quality"])]
    return "\n".join(line for line in lines if line is not None).rstrip()


def _fitting(values: dict[str, Any]) -> str:
    if "quality" not in values:
        return ""
    steps, targets = values["fit_steps"], sorted({to for pool in values["pools"].values() for _, to in pool})
    fits = "as many steps as the recipes say" if steps is None else f"{steps} steps"
    return f" Every pool brings each defect class to {targets[-1]} images; learned recipes are fitted by {fits}."


def _quality_caption(rows: Sequence[dict[str, Any]]) -> str:
    backbone = next((row["backbone"] for row in rows if row["backbone"] is not None), None)
    by = "" if backbone is None else f", features of {backbone}"
    return (
        "The images themselves, means over classes and partitions; in brackets the same among real images of the train "
        f"side. Near copies are nearer to a donor than two donors are to each other{by}."
    )


def _over_partitions(contrast: dict[str, Any]) -> str | None:
    """The same comparison by macro F1, and with partitions, not test images, as what varies."""
    spread, f1 = contrast["corrected_t"], _paired(contrast, 1)
    if spread is None or f1 is None:
        return None
    better = sum(value > 0 for value in contrast["by_partition"].values())
    return (
        f"- {contrast['condition']} over partitions: better in {better} of {len(contrast['by_partition'])}, "
        f"corrected resampled t-test (Nadeau and Bengio 2003) p = {_number(spread['p_value'])}; "
        f"macro F1 {f1['difference']:+.3f}{_between(f1)}, p = {_p(f1)}"
    )


def _scores(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Balanced accuracy and macro F1; results of before validate knew tasks name them otherwise."""
    if "scores" in row:
        return row["scores"]["balanced accuracy"], row["scores"]["macro F1"]
    return row["balanced_accuracy"], row["macro_f1"]


def _recalls(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row["by_class"] if "by_class" in row else row["recalls"]
    return found


def _paired(contrast: dict[str, Any], place: int = 0) -> dict[str, Any] | None:
    """The test of balanced accuracy, or at place 1 of macro F1."""
    if "paired" in contrast:
        return contrast["paired"][place] if len(contrast["paired"]) > place else None
    found: dict[str, Any] | None = contrast[("paired_bootstrap", "paired_bootstrap_macro_f1")[place]]
    return found


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _figure(values: dict[str, Any]) -> str:
    interval = values["interval"]
    if values["value"] is None:
        return "–"
    return f"{values['value']:.3f}" + (
        "" if interval is None else f" ({interval['low']:.3f} to {interval['high']:.3f})"
    )


def _between(paired: dict[str, Any] | None) -> str:
    return "" if paired is None else f" ({paired['interval']['low']:+.3f} to {paired['interval']['high']:+.3f})"


def _p(paired: dict[str, Any] | None) -> str:
    return "–" if paired is None else f"{paired['p_value']:.4f}"


def quality_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown of `summary`."""
    lines = [
        "| pool | a fit, s | an image, s | draws accepted | texture distance (real) | diversity (real) "
        "| nearest real (real) | lightness, levels | near copies by pixels | by features |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['pool']} | {'–' if not row['fit_s'] else format(row['fit_s'], '.0f')} "
        f"| {_digits(row['image_s'])} | {_percent(row['accepted'])} "
        f"| {_pair(row, 'frechet_texture')} | {_pair(row, 'diversity')} | {_pair(row, 'nearest_real')} "
        f"| {_digits(row['lightness_emd'], 1)} | {_percent(row['near_copies'])} "
        f"| {_percent(row['near_copies_by_features'])} |"
        for row in rows
    ]
    filled = [
        f"- {row['pool']} made no {', '.join(names)} in {partition} (fewer than two donors, or no draw that "
        f"the gates let pass); {LEFT_OUT} made these"
        for row in rows
        for partition, names in row["left_out"].items()
    ]
    return "\n".join([*lines, *([""] if filled else []), *filled])


def _pair(row: Mapping[str, Any], key: str) -> str:
    return f"{_digits(row[key])} ({_digits(row[f'real_{key}'])})"


def _digits(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
