"""How long do the metrics take, in how much memory, and do they agree with the references?

    python benchmarks/metrics.py [--images 62] [--size 1024] [--reference] [--repeat 3] [--equal 120]

1. Pixel AUROC, AP, F1-max and PRO, pooled and per type, of maps like those of a model and masks of five types, all in
   memory. With --reference also by scikit-learn on the same pixels, and PRO by the plain loop over 200 thresholds
   that most people write.
2. The counts that the bootstrap keeps: their size, how far scores made of them are from the exact ones, and 2,000
   paired draws of two models with five seeds each.
3. COCO AP of 100 detections an image, against pycocotools' COCOeval and faster-coco-eval (where it is installed).
4. With --equal N, instead of the rest: two models that are equally good, N times over. How often does the paired
   bootstrap give p < 0.05? Images differ in difficulty, and each model fails on others (minutes).

Every part runs in a process of its own, which says its peak memory. Prints Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from carpet_data.core.masks import rle
from carpet_data.core.masks.runs import from_binary
from carpet_data.metrics import DetectionRanking, Outcome, PixelRanking
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.metrics.resampled import SEGMENT, Evidence, Replicate, resampled
from carpet_data.samples import Instance
from carpet_data.training.contract import Detection

TYPES = ("color", "cut", "hole", "metal_contamination", "thread")
LIMIT = 0.3


def pictures(images: int, size: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Heat maps and masks: every fourth image good, the others with one to three blobs of their type."""
    for number in range(images):
        random = np.random.default_rng([seed, number])
        mask = np.zeros((size, size), np.uint8)
        for _ in range(random.integers(1, 4) if number % 4 else 0):
            center = tuple(int(value) for value in random.integers(size // 8, size - size // 8, 2))
            axes = tuple(int(value) for value in random.integers(size // 100 + 1, size // 14 + 2, 2))
            cv2.ellipse(mask, center, axes, int(random.integers(180)), 0, 360, 1, -1)
        # The head says something per cell of 8 pixels, and the map is that, enlarged.
        cells = cv2.resize(mask.astype(np.float32), (size // 8, size // 8), interpolation=cv2.INTER_AREA)
        odds = random.normal(-5 + 7 * cells, 1.5).astype(np.float32)
        heat = 1 / (1 + np.exp(-cv2.resize(odds, (size, size), interpolation=cv2.INTER_LINEAR)))
        yield heat.astype(np.float32), mask * (number % len(TYPES) + 1)


def ranking_of(maps: list[tuple[np.ndarray, np.ndarray]]) -> PixelRanking:
    ranking = PixelRanking(TYPES)
    for heat, mask in maps:
        ranking.add(heat, mask)
    return ranking


def timed(work: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """The result and the shortest of several times, in seconds."""
    best, found = np.inf, None
    for _ in range(repeat):
        begun = time.perf_counter()
        found = work()
        best = min(best, time.perf_counter() - begun)
    return found, best


def own(images: int, size: int, repeat: int) -> list[str]:
    maps = list(pictures(images, size))
    before = peak()

    def work() -> Any:
        ranking = ranking_of(maps)
        return ranking.scores(), ranking.by_type()

    (scores, by_type), seconds = timed(work, repeat)
    types = ", ".join(f"{name} {each.ap:.3f}" for name, each in by_type.items())
    return [
        f"| this, pooled and 5 types | {seconds:.2f} | {peak() - before:.0f} | {scores.text()} |",
        f"| (AP of the types: {types}) | | | |",
    ]


def reference(images: int, size: int) -> list[str]:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    maps = list(pictures(images, size))
    before = peak()

    def ranked() -> str:
        values = np.concatenate([heat.ravel() for heat, _ in maps])
        truth = np.concatenate([mask.ravel() > 0 for _, mask in maps])
        precision, recall, _ = precision_recall_curve(truth, values)
        f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        ap, auroc = average_precision_score(truth, values), roc_auc_score(truth, values)
        return f"AP {ap:.3f}, AUROC {auroc:.4f}, F1-max {f1:.3f}"

    text, seconds = timed(ranked, 1)
    rows = [f"| scikit-learn, pooled, no PRO | {seconds:.2f} | {peak() - before:.0f} | {text} |"]
    pro, seconds = timed(lambda: plain_pro(maps), 1)
    return [*rows, f"| plain loop over 200 thresholds, PRO alone | {seconds:.2f} | | PRO {pro:.3f} |"]


def plain_pro(maps: list[tuple[np.ndarray, np.ndarray]]) -> float:
    values = np.concatenate([heat.ravel() for heat, _ in maps])
    labels = [cv2.connectedComponents((mask > 0).astype(np.uint8), connectivity=8) for _, mask in maps]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.quantile(values, 1 - np.geomspace(1e-5, 1, 200)):
        false = free = 0
        found = []
        for (heat, mask), (count, pieces) in zip(maps, labels, strict=True):
            above = heat >= threshold
            false += int((above & (mask == 0)).sum())
            free += int((mask == 0).sum())
            sizes = np.bincount(pieces.ravel(), minlength=count)[1:]
            found += (np.bincount(pieces[above], minlength=count)[1:] / sizes).tolist()
        rates.append(false / free)
        overlaps.append(float(np.mean(found)))
    grid = np.linspace(0, LIMIT, 3001)
    return float(np.interp(grid, rates, overlaps).mean())


def bootstrap(images: int, size: int, repeat: int) -> list[str]:
    seeds = 5
    conditions, texts, errors = {}, [], []
    summed = 0.0
    for name, shift in (("baseline", 0), ("candidate", 100)):
        rows: dict[tuple[str, int, str], ImageEvidence] = {}
        for seed in range(seeds):
            ranking = ranking_of(list(pictures(images, size, seed=seed + shift)))
            begun = time.perf_counter()
            counts = ranking.summaries()
            summed += time.perf_counter() - begun
            kept = [ImageEvidence(0.5, each.pack(), each.components) for each in counts]
            texts += [len(each.pixels or "") for each in kept]
            rows |= {("main", seed, f"i{number:05d}"): each for number, each in enumerate(kept)}
            exact = ranking.scores()
            replicate = Replicate(tuple(kept), np.arange(images), np.arange(images) % 4, 0)
            drawn = dict(zip(SEGMENT.names, SEGMENT.of(replicate, np.ones((1, images)))[0].tolist(), strict=True))
            pairs = (("pixel AP", exact.ap), ("pixel AUROC", exact.auroc), ("PRO", exact.pro))
            errors.append(max(abs(drawn[each] - value) for each, value in pairs if value is not None))
        samples = [key[2] for key in rows]
        labels = [int(int(sample[1:]) % 4 > 0) for sample in samples]
        outcome = Outcome.of(
            name, ("good", "defect"), partitions=["main"] * len(rows), seeds=[key[1] for key in rows], samples=samples,
            units=samples, truth=labels, predicted=labels,
        )  # fmt: skip
        conditions[name] = Evidence.of(outcome, rows, 0)
    _, seconds = timed(lambda: resampled(conditions, SEGMENT), repeat)
    return [
        f"| counts of {images} maps, for the bootstrap | {summed / (2 * seeds):.2f} |",
        f"| 2,000 paired draws, 2 models x {seeds} seeds, 5 scores | {seconds:.2f} |",
        "",
        f"Kept per image: {np.mean(texts) / 1000:.1f} kB. Largest error of AP, AUROC or PRO: {max(errors):.5f}.",
    ]


def detections(images: int, size: int, repeat: int) -> list[str]:
    random = np.random.default_rng(0)
    data: list[tuple[list[Detection], list[Instance]]] = []
    for _ in range(images):
        true, found = [], []
        for _ in range(4):
            x, y = (int(value) for value in random.integers(0, size - 80, 2))
            w, h = (int(value) for value in random.integers(10, 70, 2))
            name = TYPES[random.integers(len(TYPES))]
            whole = np.zeros((size, size), bool)
            whole[y : y + h, x : x + w] = True
            true.append(Instance(name, (x, y, w, h), w * h, size, size, rle.encode(from_binary(whole))))
            found.append(Detection(name, float(random.random()), (x + 3, y, w, h), np.ones((h, w), bool)))
        for _ in range(96):
            x, y = (int(value) for value in random.integers(0, size - 60, 2))
            name = TYPES[random.integers(len(TYPES))]
            found.append(Detection(name, float(random.random()), (x, y, 40, 30), np.ones((30, 40), bool)))
        data.append((found, true))

    def work() -> Any:
        ranking = DetectionRanking(TYPES)
        for found, true in data:
            ranking.add(found, true, size, size)
        return ranking.scores()

    scores, seconds = timed(work, repeat)
    rows = [f"| this, boxes | {seconds:.2f} | {scores.text()} |"]
    for name, evaluate in references():
        figures, seconds = timed(lambda evaluate=evaluate: evaluate(data, size), repeat)
        rows.append(f"| {name}, boxes | {seconds:.2f} | AP {figures[0]:.3f}, AP50 {figures[1]:.3f} |")
    return rows


def references() -> Iterator[tuple[str, Callable[..., Any]]]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    yield "pycocotools", lambda data, size: by_coco(data, size, COCO, COCOeval)
    try:
        import faster_coco_eval
    except ImportError:
        return
    yield (
        "faster-coco-eval",
        lambda data, size: by_coco(data, size, faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    )


def by_coco(data: list[tuple[list[Detection], list[Instance]]], size: int, coco: Any, evaluation: Any) -> Any:
    truth, results = [], []
    for number, (found, true) in enumerate(data, start=1):
        for one in true:
            place = {"id": len(truth) + 1, "image_id": number, "category_id": TYPES.index(one.class_name) + 1}
            truth.append({**place, "bbox": list(one.bbox), "area": one.area, "iscrowd": 0})
        for each in found:
            place = {"image_id": number, "category_id": TYPES.index(each.class_name) + 1}
            results.append({**place, "bbox": list(each.bbox), "score": each.score})
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco()
        known.dataset = {
            "info": {},
            "images": [{"id": n, "width": size, "height": size, "file_name": ""} for n in range(1, len(data) + 1)],
            "annotations": truth,
            "categories": [{"id": n, "name": name} for n, name in enumerate(TYPES, start=1)],
        }
        known.createIndex()
        done = evaluation(known, known.loadRes(results), "bbox")
        done.evaluate()
        done.accumulate()
        done.summarize()
    return done.stats


def equal(images_a_class: int, trials: int) -> list[str]:
    random = np.random.default_rng(images_a_class)
    names = ("pixel AP", "PRO", "pixel AUROC")
    low = dict.fromkeys(names, 0)
    for trial in range(trials):
        found = resampled(equal_models(random, images_a_class), SEGMENT, resamples=300, seed=trial)
        for name in names:
            paired = found.paired("one", "other", name, fewest_units=images_a_class)
            low[name] += paired is not None and paired.p_value < 0.05
    shares = " | ".join(f"{100 * count / trials:.0f}" for count in low.values())
    return [f"| {images_a_class} | {images_a_class * len(TYPES)} | {shares} |"]


def equal_models(
    random: np.random.Generator, images_a_class: int, *, good: int = 3, seeds: int = 2
) -> dict[str, Evidence]:
    labels = [0] * good + [number for number in range(1, len(TYPES) + 1) for _ in range(images_a_class)]
    masks = []
    for label in labels:
        mask = np.zeros((32, 32), bool)
        if label:
            y, x, h, w = (*random.integers(0, 20, 2), *random.integers(3, 12, 2))
            mask[y : y + h, x : x + w] = True
        masks.append(mask)
    difficulty = random.normal(2.5, 1, len(labels))
    samples = [f"i{number:04d}" for number in range(len(labels))]
    models = {}
    for name in ("one", "other"):
        luck = random.normal(0, 0.7, len(labels))
        rows: dict[tuple[str, int, str], ImageEvidence] = {}
        for seed in range(seeds):
            ranking = PixelRanking()
            for mask, contrast in zip(masks, difficulty + luck + random.normal(0, 0.2, len(labels)), strict=True):
                odds = random.normal(-3, 1, mask.shape) + contrast * mask
                ranking.add((1 / (1 + np.exp(-odds))).astype(np.float32), mask)
            for sample, each in zip(samples, ranking.summaries(), strict=True):
                rows["main", seed, sample] = ImageEvidence(0.5, each.pack(), each.components)
        outcome = Outcome.of(
            name, ("good", *TYPES), partitions=["main"] * len(rows), seeds=[key[1] for key in rows],
            samples=[key[2] for key in rows], units=[key[2] for key in rows], truth=labels * seeds,
            predicted=labels * seeds,
        )  # fmt: skip
        models[name] = Evidence.of(outcome, rows, 0)
    return models


def peak() -> float:
    """Largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(work: Callable[..., list[str]], *arguments: int) -> None:
    """Print what a function says, run in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("\n".join(pool.apply(work, arguments)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=62)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--equal", type=int, metavar="N")
    given = parser.parse_args()
    if given.equal:
        print(
            "Cases of 100 with p < 0.05\n\n| test images a type | in all | pixel AP | PRO | pixel AUROC |\n"
            "|---|---|---|---|---|"
        )
        for images_a_class in (2, 3, 6, 15):
            apart(equal, images_a_class, given.equal)
        return
    pixels = given.images * given.size**2
    print(f"## {given.images} maps of {given.size} px ({pixels / 1e6:.0f} million pixels)\n")
    print("| what | s | MiB beside the maps | figures |\n|---|---|---|---|")
    apart(own, given.images, given.size, given.repeat)
    if given.reference:
        apart(reference, given.images, given.size)
    print("\n| what | s |\n|---|---|")
    apart(bootstrap, given.images, given.size // 4, given.repeat)
    print(f"\n| COCO AP, {given.images} images of 100 detections | s | figures |\n|---|---|---|")
    apart(detections, given.images, given.size, given.repeat)


if __name__ == "__main__":
    main()
