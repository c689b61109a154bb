"""The table of one protocol of benchmarks/dense.py, from the scores that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carpet_data.experiments.conditions import BASELINE

_LINEAR = "linear head"
_PIXELS = (
    ("segment", "pixel AP", 3),
    ("segment", "PRO", 3),
    ("segment", "F1-max", 3),
    ("segment", "pixel AUROC", 4),
    ("segment", "mIoU", 3),
    ("detect", "AP50", 3),
    ("detect", "AP", 3),
    ("anomaly", "image AUROC", 3),
    ("anomaly", "false alarms at full recall", 3),
)
_LABELS = ("balanced accuracy", "macro F1", "recall of good")


def table(values: Mapping[str, Any]) -> str:
    """The Markdown of one protocol."""
    units = ", ".join(f"{name} {count}" for name, count in values["whole_image"]["test_units"].items())
    lines = [
        f"### {values['title']}",
        "",
        f"{len(values['chosen'])} partition{'s' if len(values['chosen']) > 1 else ''}, {values['seeds']} seeds. "
        f"Groups of test images: {units}.",
        "",
        "| score | whole image | linear head | dense head | dense head against the linear one | p |",
        "|---|---|---|---|---|---|",
    ]
    for task, score, digits in _PIXELS:
        conditions = values["tasks"][task]["conditions"]
        first, second = (conditions[each]["scores"].get(score) for each in (_LINEAR, BASELINE))
        if second is not None and second["value"] is not None:
            lines.append(
                f"| {score} | | {_figure(first, digits)} | {_figure(second, digits)} {_test(values, task, score)}"
            )
    whole = values["whole_image"]["conditions"][BASELINE]["scores"]
    conditions = values["tasks"]["classify"]["conditions"]
    for score in _LABELS:
        figures = [whole.get(score), *(conditions[each]["scores"].get(score) for each in (_LINEAR, BASELINE))]
        if any(each is not None and each["value"] is not None for each in figures):
            shown = " | ".join(_figure(each, 3) for each in figures)
            lines.append(f"| {score} | {shown} {_test(values, 'classify', score)}")
    lines.append(f"| type accuracy | {' | '.join(_share(each) for each in values['type_accuracy'].values())} | | |")
    lines += ["", *_sentences(values)]
    return "\n".join(lines).rstrip()


def _sentences(values: Mapping[str, Any]) -> list[str]:
    found = [
        f"- The dense head against the whole-image classifier, {each['statistic']}: {_difference(each)}, "
        f"p = {each['p_value']:.4f}"
        for each in values["dense_against_whole_image"]
    ]
    for partition, each in values["chosen"].items():
        settings = ", ".join(f"{name} {_setting(value)}" for name, value in each["settings"].items())
        found.append(f"- Chosen in {partition}: {settings}")
    return found


def _setting(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _test(values: Mapping[str, Any], task: str, score: str) -> str:
    tests = [test for contrast in values["tasks"][task]["contrasts"] for test in contrast["paired"]]
    test = next((each for each in tests if each["statistic"] == score), None)
    return "| | |" if test is None else f"| {_difference(test)} | {test['p_value']:.4f} |"


def _difference(test: Mapping[str, Any]) -> str:
    interval = test["interval"]
    return f"{test['difference']:+.3f} ({interval['low']:+.3f} to {interval['high']:+.3f})"


def _figure(estimate: Mapping[str, Any] | None, digits: int) -> str:
    if estimate is None or estimate["value"] is None:
        return "–"
    interval = estimate["interval"]
    between = "" if interval is None else f" ({interval['low']:.{digits}f} to {interval['high']:.{digits}f})"
    return f"{estimate['value']:.{digits}f}{between}"


def _share(kind: Mapping[str, Any]) -> str:
    if not kind["images"]:
        return "–"
    return f"{kind['right'] / kind['images']:.3f} ({kind['low']:.3f} to {kind['high']:.3f})"
