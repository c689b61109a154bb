"""How fast is to-coco, against decoding alone and against other libraries? One run, the same masks for all.

    python benchmarks/to_coco.py [--masks 200] [--encoder opencv|pillow] [--no-peers]

Makes masks of 1024x1024 (1 to 6 blobs, some with holes) and times, on two processes where the tool has workers:
- the floor: OpenCV decoding those PNGs, one thread a process, nothing else;
- `carpet-data to-coco`, the whole command: its rate after start-up is the slope between N and 6 N masks;
- a plain loop (OpenCV components, pycocotools RLE) on one process;
- datumaro, supervision, FiftyOne, whichever is installed, from the mask files to their COCO JSON.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZE = 1024
WORKERS = 2
REPEATS = 3


def make(root: Path, count: int, encoder: str) -> list[Path]:
    """An MVTec folder with `count` defect images and their masks."""
    rng = np.random.default_rng(7)
    image = cv2.imencode(".png", np.full((SIZE, SIZE, 3), 90, np.uint8))[1].tobytes()
    masks = []
    for folder in ("train/good", "test/hole", "ground_truth/hole"):
        (root / folder).mkdir(parents=True)
    (root / "train" / "good" / "000.png").write_bytes(image)
    for number in range(count):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        for _ in range(rng.integers(1, 7)):
            centre = tuple(int(v) for v in rng.integers(80, SIZE - 80, 2))
            axes = tuple(int(v) for v in rng.integers(10, 90, 2))
            angle = int(rng.integers(0, 180))
            cv2.ellipse(mask, centre, axes, angle, 0, 360, 255, -1)
            if rng.random() < 0.3:
                cv2.ellipse(mask, centre, tuple(max(a // 3, 2) for a in axes), angle, 0, 360, 0, -1)
        path = root / "ground_truth" / "hole" / f"{number:05}_mask.png"
        if encoder == "opencv":
            cv2.imwrite(str(path), mask)
        else:
            Image.fromarray(mask).save(path)
        (root / "test" / "hole" / f"{number:05}.png").write_bytes(image)
        masks.append(path)
    return masks


def repeat(root: Path, target: Path, times: int) -> Path:
    """The same folder with every defect `times` times under new names (hard links)."""
    shutil.copytree(root / "train", target / "train")
    for folder in ("test/hole", "ground_truth/hole"):
        (target / folder).mkdir(parents=True)
        for file in sorted((root / folder).iterdir()):
            for number in range(times):
                (target / folder / f"{number}-{file.name}").hardlink_to(file)
    return target


def decode(path: str) -> int:
    return int(cv2.imread(path, cv2.IMREAD_UNCHANGED).shape[0])


def one_thread() -> None:
    cv2.setNumThreads(1)


def floor_rate(masks: list[Path], workers: int) -> float:
    """Masks a second that OpenCV decodes, start-up not counted."""
    paths = [str(path) for path in masks] * 4
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=one_thread) as pool:
        list(pool.map(decode, paths[: 16 * workers], chunksize=8))  # start-up
        return best(lambda: list(pool.map(decode, paths, chunksize=16)), len(paths))


def best(job: Callable[[], object], count: int) -> float:
    """Jobs a second in the best of some repeats."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - begun)
    return count / min(seconds)


OURS = """
import json, resource, sys
from pathlib import Path
from carpet_data.formats.exports import to_coco
if __name__ == "__main__":
    root, out, kind, workers = sys.argv[1:]
    to_coco(Path(root), Path(out), segmentation=kind, workers=int(workers), overwrite=True)
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, children = (resource.getrusage(each).ru_maxrss / 1024 for each in who)
    print(json.dumps([own, children]))
"""


def ours(script: Path, root: Path, out: Path, kind: str, workers: int) -> tuple[float, float]:
    """Seconds of the whole command, start included, and the peak MiB of its largest process."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(script), str(root), str(out), kind, str(workers)],
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - begun, max(json.loads(done.stdout))


def plain_loop(masks: list[Path], out: Path) -> None:
    """What most people write: components on pixels, each encoded over the whole image."""
    from pycocotools import mask as coco_mask

    annotations = []
    for number, path in enumerate(masks, start=1):
        mask = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) >= 128).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for label in range(1, count):
            code = coco_mask.encode(np.asfortranarray((labels == label).astype(np.uint8)))
            code["counts"] = code["counts"].decode()
            box, area = stats[label][:4].tolist(), int(stats[label][4])
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "bbox": box, "area": area, "segmentation": code}
            )
    out.write_text(json.dumps({"annotations": annotations}))


def with_datumaro(masks: list[Path], out: Path) -> None:
    from datumaro import Dataset, DatasetItem
    from datumaro.components.annotation import Mask
    from datumaro.components.media import Image as Media

    items = []
    for path in masks:
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) >= 128
        count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        annotations = [Mask(labels == label, label=0, group=label) for label in range(1, count)]
        media = Media.from_numpy(np.zeros((SIZE, SIZE, 3), np.uint8))
        items.append(DatasetItem(path.stem, media=media, annotations=annotations))
    Dataset.from_iterable(items, categories=["hole"]).export(str(out), "coco_instances", save_media=False)


def with_supervision(masks: list[Path], out: Path) -> None:
    import supervision as sv

    image = str(masks[0])
    annotations, paths = {}, []
    for path in masks:
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) >= 128
        count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        each = np.stack([labels == label for label in range(1, count)])
        annotations[str(path)] = sv.Detections(
            xyxy=sv.mask_to_xyxy(each), mask=each, class_id=np.zeros(count - 1, dtype=int)
        )
        paths.append(str(path))
    assert image in annotations
    sv.DetectionDataset(classes=["hole"], images=paths, annotations=annotations).as_coco(annotations_path=str(out))


def with_fiftyone(masks: list[Path], out: Path) -> None:
    import fiftyone as fo

    samples = []
    for path in masks:
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) >= 128
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        detections = []
        for label in range(1, count):
            x, y, w, h = stats[label][:4].tolist()
            box = [x / SIZE, y / SIZE, w / SIZE, h / SIZE]
            crop = (labels[y : y + h, x : x + w] == label).astype(bool)
            detections.append(fo.Detection(label="hole", bounding_box=box, mask=crop))
        samples.append(fo.Sample(str(path), ground_truth=fo.Detections(detections=detections)))
    dataset = fo.Dataset()
    dataset.add_samples(samples, progress=False)
    dataset.compute_metadata(progress=False)
    dataset.export(
        labels_path=str(out),
        dataset_type=fo.types.COCODetectionDataset,
        label_field="ground_truth",
        tolerance=0,
        progress=False,
    )
    dataset.delete()


PEERS: dict[str, tuple[Callable[[list[Path], Path], None], str]] = {
    "plain loop (OpenCV + pycocotools), RLE": (plain_loop, "cv2"),
    "datumaro, one mask a component": (with_datumaro, "datumaro"),
    "supervision, polygons": (with_supervision, "supervision"),
    "FiftyOne, polygons": (with_fiftyone, "fiftyone"),
}


def exact_share(path: Path, masks: list[Path]) -> float:
    """The share of images whose annotations, merged, are the mask."""
    from pycocotools.coco import COCO

    document = json.loads(path.read_text())
    document.setdefault("images", [{"id": n, "file_name": p.name} for n, p in enumerate(masks, start=1)])
    by_name = {mask.stem.removesuffix("_mask"): mask for mask in masks}
    per_image: dict[int, list[dict[str, object]]] = {}
    for annotation in document["annotations"]:
        per_image.setdefault(annotation["image_id"], []).append(annotation)
    coco = COCO()
    coco.imgs = {image["id"]: {**image, "height": SIZE, "width": SIZE} for image in document["images"]}
    right = compared = 0
    for image in document["images"]:
        stem = Path(image["file_name"]).stem.removesuffix("_mask").removeprefix("test_hole_")
        if stem not in by_name:
            continue
        compared += 1
        union = np.zeros((SIZE, SIZE), bool)
        for annotation in per_image.get(image["id"], []):
            union |= coco.annToMask(annotation).astype(bool)
        right += np.array_equal(union, cv2.imread(str(by_name[stem]), cv2.IMREAD_UNCHANGED) >= 128)
    assert compared == len(masks)
    return right / compared


def run_peer(name: str, masks: list[Path], scratch: Path) -> tuple[float, float] | None:
    """Masks a second and share of exact images; None where the library is not installed."""
    job, package = PEERS[name]
    try:
        __import__(package)
    except ImportError:
        return None
    out = scratch / package
    target = out if package == "datumaro" else out.with_suffix(".json")
    job(masks[:4], scratch / f"warm-{target.name}")
    begun = time.perf_counter()
    job(masks, target)
    rate = len(masks) / (time.perf_counter() - begun)
    return rate, exact_share(next(target.rglob("*.json")) if target.is_dir() else target, masks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=int, default=200)
    parser.add_argument("--encoder", choices=["opencv", "pillow"], default="opencv", help="What writes the masks.")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--memory-masks", type=int, default=5000)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"Machine: {platform.machine()}, {multiprocessing.cpu_count()} cores, Python {platform.python_version()}, ")
    print(f"OpenCV {cv2.__version__}. {arguments.masks} masks of {SIZE}x{SIZE} by {arguments.encoder}.\n")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        masks = make(scratch / "data", arguments.masks, arguments.encoder)
        many = repeat(scratch / "data", scratch / "many", 6)
        script = scratch / "ours.py"
        script.write_text(OURS)
        # Before the peers: a process begins with the peak of the one that started it.
        large = repeat(scratch / "data", scratch / "large", max(arguments.memory_masks // arguments.masks, 1))
        peaks = {
            label: ours(script, root, scratch / "out-memory", "polygon", WORKERS)[1]
            for label, root in ((arguments.masks, scratch / "data"), (arguments.memory_masks, large))
        }
        print("| what | processes | masks/s after start-up | of the floor | exact images |\n|---|---|---|---|---|")
        floors = {workers: floor_rate(masks, workers) for workers in (1, WORKERS)}
        for workers, rate in floors.items():
            print(f"| floor: OpenCV decodes the masks | {workers} | {rate:.0f} | 1 | |")
        whole: dict[str, float] = {}
        for kind in ("polygon", "rle"):
            for workers in (1, WORKERS):
                few = min(ours(script, scratch / "data", scratch / "out", kind, workers)[0] for _ in range(REPEATS))
                lots = min(ours(script, many, scratch / "out-many", kind, workers)[0] for _ in range(REPEATS))
                ours(script, scratch / "data", scratch / "out", kind, workers)
                rate = 5 * arguments.masks / (lots - few)
                whole[f"{kind}, {workers}"] = few
                share = exact_share(scratch / "out" / "annotations" / "instances_test.json", masks)
                print(
                    f"| **to-coco, {kind}** | {workers} | **{rate:.0f}** | **{rate / floors[workers]:.2f}** "
                    f"| {100 * share:.0f} % |"
                )
        if arguments.peers:
            for name in PEERS:
                result = run_peer(name, masks, scratch)
                if result is None:
                    print(f"| {name} | | not installed | | |")
                else:
                    rate, share = result
                    print(f"| {name} | 1 | {rate:.0f} | {rate / floors[1]:.2f} | {100 * share:.0f} % |")
        print("\nWhole command for these masks, start included: ", end="")
        print(", ".join(f"{seconds:.2f} s ({name})" for name, seconds in whole.items()) + ".")
        for label, peak in peaks.items():
            print(f"\nPeak memory of the largest process, {label} masks: {peak:.0f} MiB.")


if __name__ == "__main__":
    main()
