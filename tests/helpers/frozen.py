"""Frozen behavior: what the goldens record, found through the command line and the package root alone.

No inner module of the package is named here, so the goldens hold through any move of modules.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

import carpet_data
from helpers import mongo

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
REGENERATE = "python tests/golden/freeze.py"
ONE = ("--workers", 1)

# --- calling the command line


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def call(*arguments: object) -> Said:
    """`python -m carpet_data ARGUMENTS`, inside this process."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["carpet-data", *(str(argument) for argument in arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_module("carpet_data", run_name="__main__")
        code: object = 0
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv = before
    assert code is None or isinstance(code, int), code
    return Said(code or 0, out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """What a command prints that must succeed."""
    said = call(*arguments)
    assert said.code == 0, f"carpet-data {' '.join(map(str, arguments))}: {said.code}\n{said.out}\n{said.err}"
    return said.out


def table(name: str) -> Any:
    """A golden table."""
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def save(name: str, values: Any) -> None:
    """Write a golden table anew."""
    (GOLDEN / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


# --- the data


def small_carpet(folder: Path, *, size: int = 128, good: int = 8) -> Path:
    """A raw sample data set with four images of each defect; returns its folder."""
    counts = [f"good={good}", f"test-good={good and 4}"]
    counts += [f"{name}=4" for name in ("color", "cut", "hole", "metal_contamination", "thread")]
    options = [part for count in counts for part in ("--count", count)]
    done("sample", folder / "carpet", "--size", size, *options, "--seed", 0, *ONE)
    return folder / "carpet"


def prepared(raw: Path, to: Path) -> Path:
    """The same prepared, half of it on the train side."""
    done("prepare", raw, "-o", to, "--fractions", 0.5, 0.5, "--seed", 0, *ONE)
    return to


# --- pixels of the methods

PLAIN = (
    "augment",
    "augment-object",
    "donor-paste",
    "nsa",
    "perlin",
    "procedural",
    "procedural-abrasion",
    "procedural-crack",
    "resynthesis",
)
"""The shipped recipes that need no fit."""
WITHOUT_GOOD = ("donor-paste", "procedural", "resynthesis")
"""Those that are frozen on a set without good images too, where hosts are plates made of defect images."""
CASES = (*PLAIN, *(f"{name} without good images" for name in WITHOUT_GOOD))
SYNTHESIZED = ("hole", "color", "metal_contamination")
CRACKED = ("hole", "metal_contamination")
"""Classes of which procedural-crack makes images on so small a carpet; of others the area gate refuses all."""
EACH = 2


def sha256(array: Any) -> str:
    """Of the shape, the kind of numbers and the values of decoded pixels."""
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def pixels_of(root: Path, name: str | None) -> str | None:
    """The digest of a decoded file; None without one."""
    if name is None:
        return None
    array = cv2.imread(str(root / name), cv2.IMREAD_UNCHANGED)
    assert array is not None, name
    return sha256(array)


class Carpets:
    """The prepared folders that recipes work on, each made once; recipes get copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[int, Path] = {}

    def copy(self, case: str) -> Path:
        """A prepared folder for one case alone."""
        good = 0 if case.endswith("without good images") else 8
        if good not in self.made:
            place = self.folder / f"good-{good}"
            self.made[good] = prepared(small_carpet(place, size=192, good=good), place / "prepared")
        return Path(shutil.copytree(self.made[good], self.folder / case))


def method_pixels(carpets: Carpets, case: str) -> dict[str, Any]:
    """What a recipe makes: its method and version, and of each sample id, class and the digests of its pixels."""
    recipe = case.split()[0]
    shown = json.loads(done("recipes", "show", recipe, "--json"))["recipes"][0]["recipe"]
    root = carpets.copy(case)
    names = CRACKED if recipe == "procedural-crack" else SYNTHESIZED
    classes = [part for name in names for part in ("--class", name)]
    done("synthesize", root, *classes, "--n", EACH, "--recipe", recipe, "--seed", 5, *ONE)
    made = sorted((s for s in carpet_data.read(root) if s.origin == "synthetic"), key=lambda s: s.id)
    return {
        "method": shown["method"],
        "version": shown["version"],
        "samples": [
            {
                "id": s.id,
                "class": s.class_name,
                "image": pixels_of(root, s.image_path),
                "mask": pixels_of(root, s.mask_path),
            }
            for s in made
        ],
    }


# --- keys of the JSON output

DATA_MAPS = {
    **dict.fromkeys(
        ("after", "before", "by_class", "by_partition", "by_reason", "checks", "classes", "conditions", "donors"), 1
    ),
    **dict.fromkeys(
        ("images", "links", "losses", "named", "parts", "plans", "predicted", "recall_intervals", "recalls"), 1
    ),
    **dict.fromkeys(("refused", "samples", "sides", "test_units", "versions"), 1),
    "splits": 3,
}
"""Names of maps whose keys are data (classes, sides, ids, packages) -> how many levels of them are nested.

Their first value stands for all.
"""

NETWORK = ("--arch", "resnet18", "--weights", "none", "--resize", 32, "--device", "cpu", *ONE)
TINY_FIT = """schema: 1
extends: gan
parameters:
  fit: {steps: 2, batch_size: 2}
"""
TINY_SWEEP = """schema: 1
settings: {architecture: shufflenet_v2_x0_5, weights: none, batch_size: 8, resize: 32}
grid: {epochs: [1, 2]}
"""


def structure(value: Any, *, data: int = 0) -> Any:
    """The keys of nested values; leaves become the names of their types, lists the structure of their first element."""
    if isinstance(value, dict) and data:
        return {"*": structure(next(iter(value.values())), data=data - 1)} if value else {}
    if isinstance(value, dict):
        return {key: structure(inner, data=DATA_MAPS.get(key, 0)) for key, inner in value.items()}
    if isinstance(value, list):
        return [structure(value[0])] if value else []
    return type(value).__name__


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the files in a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class JsonCommands:
    """Every command under --json, in an order in which each has what it needs; their names are those of the golden."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Any] = {}

    def __call__(self, name: str, *arguments: object, code: int = 0) -> Any:
        said = call(*arguments, "--json")
        assert said.code == code, f"{name}: exit code {said.code}\n{said.out}\n{said.err}"
        printed = json.loads(said.out)
        self.found[name] = structure(printed)
        return printed

    def data(self) -> None:
        """Commands that make, look at and prepare data."""
        folder, run = self.folder, self
        counts = [part for name in ("good=12", "test-good=4", "hole=8", "thread=8") for part in ("--count", name)]
        none = [part for name in ("color=0", "cut=0", "metal_contamination=0") for part in ("--count", name)]
        raw = folder / "raw"
        run("sample", "sample", raw, "--size", 128, *counts, *none, *ONE)
        packed = folder / "site" / "raw.tar.gz"
        packed.parent.mkdir()
        with tarfile.open(packed, "w:gz") as archive:
            archive.add(raw, "raw")
        run("unpack", "unpack", packed, "-o", folder / "unpacked")
        with served(folder / "site") as address:
            run("fetch", "fetch", "--url", f"{address}/raw.tar.gz", "-o", folder / "fetched", "--accept-license")
        run("doctor", "doctor", raw, *ONE)
        faulty = Path(shutil.copytree(raw, folder / "faulty"))
        (faulty / "test" / "hole" / "000.png").write_bytes(b"no image")
        run("doctor with faults", "doctor", faulty, *ONE, code=1)
        run("stats", "stats", raw)
        run("stats with plots", "stats", raw, "--plot", folder / "plots")
        run("prepare", "prepare", raw, "-o", folder / "set", "--fractions", 0.5, 0.5, *ONE)
        run("split", "split", folder / "set", "--name", "three", "--fractions", 0.5, 0.25, 0.25)
        run("groups", "groups", folder / "set")
        cut = ("--size", 64, "--overlap", 16, "--fractions", 0.5, 0.5)
        run("tile", "tile", raw, "-o", folder / "tiles", *cut, *ONE)
        run("untile", "untile", folder / "tiles", *ONE)

    def synthesis(self) -> None:
        """Commands that make synthetic images, and take them out again."""
        run, root = self, self.folder / "set"
        hole = ("--class", "hole", "--n", 6)
        run("synthesize dry", "synthesize", root, *hole, "--dry-run", *ONE)
        run("synthesize", "synthesize", root, *hole, *ONE)
        run("rebalance dry", "rebalance", root, "--to", 12, "--dry-run", *ONE)
        run("rebalance", "rebalance", root, "--to", 12, *ONE)
        run("recipes list", "recipes", "list")
        run("recipes check", "recipes", "check", "nsa")
        for recipe in (*PLAIN, "gan", "ddpm-inpaint", "pretrained-inpaint"):
            run(f"recipes show {recipe}", "recipes", "show", recipe)
        run("stats of a prepared set", "stats", root, "--split", "main")
        run("preview", "preview", root, "-o", self.folder / "sheet.png")
        run("score", "score", root, "--backbone", "none", *ONE)
        reject = {"schema": 1, "reject": ["test_hole_002"], "relabel": {"test_thread_001": "hole"}}
        choices = self.folder / "choices.json"
        choices.write_text(json.dumps(reject), encoding="utf-8")
        run("curate dry", "curate", root, "--choices", choices, "--dry-run")
        run("curate", "curate", root, "--choices", choices)
        run("curate undo", "curate", root, "--undo")
        where = ("drop", root, "--where", "origin=synthetic", "--where", "class=hole")
        run("drop dry", *where, "--dry-run")
        copied = Path(shutil.copytree(root, self.folder / "fewer"))
        run("drop", "drop", copied, *where[2:])

    def exports(self) -> None:
        """Commands that write other formats, and the check of one."""
        run, root = self, self.folder / "set"
        for kind in ("coco", "yolo", "voc", "folder", "mvtec", "anomalib", "masks"):
            run(f"to-{kind}", f"to-{kind}", root, "-o", self.folder / kind, *ONE)
        run("export", "export", root, "--to", "coco", "-o", self.folder / "any", *ONE)
        run("check", "check", self.folder / "coco", *ONE)
        run("check against", "check", self.folder / "coco", "--against", root, *ONE)
        side = self.folder / "coco" / "annotations" / "instances_train.json"
        broken = json.loads(side.read_text(encoding="utf-8"))
        broken["annotations"][0]["category_id"] = 99
        side.unlink()
        side.write_text(json.dumps(broken), encoding="utf-8")
        run("check with faults", "check", self.folder / "coco", *ONE, code=1)

    def errors(self) -> None:
        """Errors are JSON too."""
        run, root = self, self.folder / "set"
        run("error of use", "stats", root, "--no-such-option", code=2)
        run("error of a name", "synthesize", root, "--class", "hool", "--n", 1, code=2)
        run("error of the data", "stats", self.folder / "nowhere", code=1)
        bad = self.folder / "bad.yaml"
        bad.write_text("schema: 1\nextends: nsa\nparameters: {no_such: 1}\ngates: {visible: x}\n", encoding="utf-8")
        run("error of many faults", "recipes", "check", bad, code=1)

    def networks(self) -> None:
        """Commands that train networks, with the smallest settings; the report shows what they found."""
        run, root = self, self.folder / "set"
        tiny = self.folder / "tiny.yaml"
        tiny.write_text(TINY_FIT, encoding="utf-8")
        run("fit dry", "fit", root, "--recipe", tiny, "--device", "cpu", "--dry-run")
        run("fit", "fit", root, "--recipe", tiny, "--device", "cpu")
        run("train", "train", root, *NETWORK, "--epochs", 2, "--worst", 1, "--heatmaps", 1)
        trained = root / "runs" / "train-001"
        run("predict", "predict", trained, root, "-o", self.folder / "predictions", "--device", "cpu")
        run("export-model", "export-model", trained, "-o", self.folder / "model.onnx")
        table = self.folder / "sweep.yaml"
        table.write_text(TINY_SWEEP, encoding="utf-8")
        run("sweep", "sweep", root, "--table", table, "--device", "cpu", *ONE)
        small = (*NETWORK, "--views", 2, "--steps", 10, "--seeds", 2)
        small = (*small, "--dense-steps", 10, "--dense-views", 1, "--dense-folds", 2)
        run("validate dry", "validate", root, *small, "--dry-run")
        run("validate", "validate", root, *small)
        run("report", "report", root, "-o", self.folder / "report.html", *ONE)

    def browse(self) -> None:
        """The data go into a FiftyOne database; in a process of its own, for FiftyOne has one database a process."""
        address = mongo.started(self.folder / "database")
        command = [sys.executable, "-m", "carpet_data", "browse", str(self.folder / "set"), "--no-launch", "--json"]
        command += ["--database-uri", address, "--workers", "1"]
        others = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
        finished = subprocess.run(command, capture_output=True, text=True, check=False, env=others)
        assert finished.returncode == 0, finished.stderr
        self.found["browse"] = structure(json.loads(finished.stdout))


def json_keys(folder: Path) -> dict[str, Any]:
    """command -> the structure of what it prints under --json."""
    commands = JsonCommands(folder)
    commands.data()
    commands.synthesis()
    commands.exports()
    commands.errors()
    commands.networks()
    commands.browse()
    return commands.found


# --- bytes of the exports

EXPORTS: dict[str, tuple[object, ...]] = {
    "coco polygon": ("to-coco",),
    "coco rle": ("to-coco", "--segmentation", "rle"),
    "yolo": ("to-yolo",),
    "yolo boxes": ("to-yolo", "--task", "boxes"),
    "voc": ("to-voc",),
    "folder": ("to-folder",),
    "mvtec": ("to-mvtec",),
    "masks": ("to-masks", "--instances"),
}
MERGED: dict[str, tuple[object, ...]] = {
    "coco merged and simplified": ("to-coco", "--merge", "--tolerance", 1.5, "--images", "none"),
    "mvtec with its sides": ("to-mvtec", "--sides", "keep"),
}
SAMPLE_EXPORTS = EXPORTS | MERGED
SAMPLE_SETS = ("raw", "prepared")
REAL_SETS = ("mvtec/carpet", "mvtec/screw_512", "mtd")
UNMASKED = {"mtd": ("--skip-unmasked",)}
"""Some defect images of these sets have no pixel in their mask, so their exports are asked to leave them out."""


def digest(folder: Path) -> str:
    """Number of the files under a folder, and one digest of their sorted paths and bytes."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n".encode())
    return f"{len(files)} files {whole.hexdigest()}"


def exported(root: Path, out: Path, arguments: tuple[object, ...], *more: object) -> str:
    """The digest of one export."""
    done(arguments[0], root, "-o", out, *arguments[1:], *more, *ONE)
    return digest(out)


def sample_sets(folder: Path) -> dict[str, Path]:
    """The sample set, raw and prepared, with some synthetic images."""
    raw = small_carpet(folder)
    ready = prepared(raw, folder / "prepared")
    done("synthesize", ready, "--class", "hole", "--n", 2, "--seed", 5, *ONE)
    return {"raw": raw, "prepared": ready}


def unmasked(name: str, kind: str) -> tuple[str, ...]:
    """What lets a set be exported that has defect images without a defect pixel."""
    return () if kind == "folder" else UNMASKED.get(name, ())
