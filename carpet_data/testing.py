"""Contract suites for plug-ins: what a method or a format of your own promises. Call them in your package's tests."""

from __future__ import annotations

import importlib
import pickle
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import BaseModel

from carpet_data.core import seeds
from carpet_data.core.images import write_png
from carpet_data.dataset import Dataset
from carpet_data.errors import CarpetDataError
from carpet_data.formats.export import export
from carpet_data.formats.listing import is_image
from carpet_data.formats.options import ExportOptions, MaskOptions
from carpet_data.formats.registry import Format, ReadOptions
from carpet_data.formats.tree import from_samples
from carpet_data.samples import GOOD, IndexFile, MaskFile, Sample, Side
from carpet_data.store.files import sha256 as file_sha256
from carpet_data.store.output import MARKER
from carpet_data.synthesis.contract import Candidate, Donor, Facts, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.engine import gates
from carpet_data.synthesis.engine.render import REDRAW, drawn_values
from carpet_data.synthesis.engine.train_images import collared
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.model import GateRules
from carpet_data.weave.image import generator, render

__all__ = ["check_format", "check_method", "sample_scene"]


def check_method(
    method: str | type[Method] | Method,
    parameters: Mapping[str, Any] | None = None,
    *,
    class_name: str = "hole",
    draws: int = 8,
    min_passed: float = 0.5,
    rules: Mapping[str, Any] | None = None,
) -> None:
    """Check that a method of synthesis keeps its contract.

    The method renders scenes of sample carpet, in RGB and in grayscale, with a defect and, where it makes them, as null
    samples. It must be a pure function of scene, parameters and generator, keep shape and dtype, change nothing outside
    its box, pass the quality checks often enough, refuse unknown parameters, and be found by other processes.

    Args:
        method: "module:Class", the class, or an instance (a learned one with its weights opened).
        parameters: Of the method; the rest have their defaults.
        class_name: The class that the scenes show: color, cut, hole, metal_contamination or thread.
        draws: Number of attempts per kind of scene.
        min_passed: Minimum share of the attempts that give an image which passes all checks.
        rules: Of the quality checks, as `gates` of a recipe; the rest have their defaults.

    Raises:
        AssertionError: The first broken promise is named.

    Examples:
        >>> check_method("carpet_data.synthesis.methods.perlin:Perlin", draws=2, min_passed=0.5)
    """
    if isinstance(method, str):
        method = registry.load(method)
    elif isinstance(method, type):
        method = method()
    _check_declaration(method)
    chosen = method.Parameters.model_validate(dict(parameters or {}))
    _check_parameters(method, chosen)
    checks = GateRules.model_validate(dict(rules or {}))
    for grey in (False, True):
        scene = sample_scene(method, class_name, grey=grey)
        for each in (scene, _null_scene(scene, method)) if method.makes_nulls else (scene,):
            refusals = [_refusal(_rendered(method, chosen, each, draw), each, checks) for draw in range(draws)]
            failed = Counter(name for name in refusals if name is not None)
            passed = draws - failed.total()
            kind = f"{'null ' if each.null else ''}{'grayscale' if grey else 'RGB'}"
            assert passed >= min_passed * draws, f"{passed} of {draws} {kind} attempts passed ({dict(failed)})"


def sample_scene(method: Method, class_name: str = "hole", *, grey: bool = False, side: int = 192) -> Scene:
    """A scene of sample carpet with all that a method asks for; its arrays cannot be written into.

    Args:
        method: Its needs are met.
        class_name: The class of the donors: color, cut, hole, metal_contamination or thread.
        grey: Whether images are HxW instead of HxWx3.
        side: Pixels across and down.
    """
    donors = [_carpet(class_name, k, side, grey) for k in range(max(2, method.donors_needed))]
    goods = [_carpet("good", k, side, grey)[0] for k in range(1 + method.textures_needed)]
    host = donors[0][0] if method.needs_whole else goods[0]
    return Scene(
        host=host,
        foreground=foreground.find(host),
        donors=tuple(_donor(*donors[k], f"donor {k}") for k in range(method.donors_needed)),
        textures=tuple(goods[1:]),
        facts=_facts(class_name, [mask for _, mask in donors]),
        whole=donors[0] if method.needs_whole else None,
    )


def _carpet(class_name: str, k: int, side: int, grey: bool) -> tuple[Image, Mask]:
    drawn = render(class_name, generator(0, "contract", class_name, k, side), side)
    image = cv2.cvtColor(drawn.image, cv2.COLOR_RGB2GRAY).astype(np.uint8) if grey else drawn.image
    for array in (image, drawn.mask):
        array.flags.writeable = False
    return image, drawn.mask


def _donor(image: Image, mask: Mask, name: str) -> Donor:
    box = collared(cv2.boundingRect(mask.astype(np.uint8)), mask.shape[1], mask.shape[0])  # type: ignore[arg-type]
    x, y, width, height = box
    place = np.s_[y : y + height, x : x + width]
    return Donor(name, image[place], mask[place], box, (mask.shape[1], mask.shape[0]))


def _facts(class_name: str, masks: list[Mask]) -> Facts:
    areas = tuple(float(mask.mean()) for mask in masks)
    rows = [np.argwhere(mask).mean(axis=0) / mask.shape for mask in masks]
    touches = sum(gates.touches_border(mask) for mask in masks) / len(masks)
    return Facts(class_name, areas, (1,) * len(masks), tuple((float(x), float(y)) for y, x in rows), touches, False)


def _null_scene(scene: Scene, method: Method) -> Scene:
    """The same scene with good texture under the donors' masks."""
    if method.needs_whole:
        assert scene.whole is not None
        host, mask = scene.whole
        return replace(scene, donors=(), whole=(host, np.zeros_like(mask)), null=True)
    donors = []
    for donor in scene.donors:
        x, y, width, height = donor.box
        donors.append(replace(donor, image=scene.host[y : y + height, x : x + width]))
    return replace(scene, donors=tuple(donors), null=True)


def _check_declaration(method: Method) -> None:
    kind = type(method)
    assert Method in kind.__mro__, f"{kind.__name__} must derive from {Method.__module__}.Method"
    assert type(method.version) is int, "version must be an int"
    assert method.version >= 1, "version must be at least 1"
    for name in ("donors_needed", "textures_needed"):
        count = getattr(method, name)
        assert type(count) is int, f"{name} must be an int"
        assert count >= 0, f"{name} must be 0 or more"
    home = importlib.import_module(kind.__module__)
    assert getattr(home, kind.__qualname__, None) is kind, "workers must find the class as an attribute of its module"


def _check_parameters(method: Method, chosen: BaseModel) -> None:
    model = method.Parameters
    assert model.model_config.get("frozen"), "Parameters must be frozen"
    for name, field in model.model_fields.items():
        assert not field.is_required(), f"the parameter {name} must have a default"
        assert field.description, f"the parameter {name} must have a description"
    assert model.model_config.get("extra") == "forbid", 'Parameters must refuse unknown names: set extra="forbid"'
    # As they travel to the workers.
    assert model.model_validate_json(chosen.model_dump_json()) == chosen, "parameters must survive JSON"


def _rendered(method: Method, parameters: BaseModel, scene: Scene, draw: int) -> Candidate | None:
    """The candidate of one draw, made twice; None for a Redraw."""
    before = _global_randomness()
    first, second = (_once(method, parameters, scene, draw) for _ in range(2))
    assert before == _global_randomness(), "render must draw from its own generator, not from a global one"
    assert (first is None) == (second is None), "render must do the same for the same generator"
    if first is not None and second is not None:
        same = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("image", "mask", "box"))
        assert same, "render must give the same candidate for the same generator"
        assert drawn_values(first) == drawn_values(second), "render must record the same values for the same generator"
    return first


def _once(method: Method, parameters: BaseModel, scene: Scene, draw: int) -> Candidate | None:
    try:
        return method.render(scene, parameters, seeds.generator(0, "contract", draw))
    except Redraw:
        return None


def _global_randomness() -> tuple[object, object]:
    return pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002 - only looked at


def _refusal(candidate: Candidate | None, scene: Scene, rules: GateRules) -> str | None:
    """The quality check that refuses a candidate; what is against the contract is an AssertionError."""
    if candidate is None:
        return REDRAW
    try:
        verdict = gates.judge(candidate, scene, rules)
    except ValueError as error:
        raise AssertionError(str(error)) from error
    assert verdict.refused_by != "inside-box", "pixels or mask changed outside the candidate's box"
    assert not (scene.null and candidate.mask.any()), "the mask of a null sample must be empty"
    return verdict.refused_by


def check_format(
    format: Format,
    folder: Path,
    *,
    keeps: Literal["instances", "pixels", "classes"] = "instances",
    options: ExportOptions | None = None,
) -> None:
    """Check that a format keeps its contract.

    A data set of shapes that formats tend to lose is written and read back: holes, single pixels, touching instances,
    diagonals, blobs on the border, several classes in one image, names beyond ASCII, grayscale and RGB. The files must
    be the same for one worker and for two, the source unchanged, and damaged files a CarpetDataError.

    Args:
        format: A format that reads, writes or both.
        folder: An empty folder for the files of the check, such as pytest's `tmp_path`.
        keeps: What comes back: every instance, the defect pixels of every image, or the class of every image alone.
        options: Options of the writer; None for its defaults.

    Raises:
        AssertionError: The first broken promise is named.

    Examples:
        >>> import tempfile
        >>> from carpet_data.formats import FORMATS
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     check_format(FORMATS.load("coco"), Path(folder))
    """
    assert format.read is not None or format.write is not None, "a format reads, writes or both"
    if format.read is not None:
        (folder / "empty").mkdir(parents=True)
        for missing in (folder / "missing", folder / "empty"):
            assert _read_all(format, missing) is None, f"reading {missing.name!r} must be a CarpetDataError"
    if format.write is None:
        return
    source = _hostile_dataset(folder / "source")
    before = _digests(source.root)
    chosen = (options or format.options()).but(workers=1)
    one = export(source, format, folder / "one", chosen)
    two = export(source, format, folder / "two", chosen, workers=2)
    assert _digests(one.out) == _digests(two.out), "an export must have the same bytes for one worker and for two"
    assert replace(one, out=two.out, parts=two.parts) == two, "the result must be the same for one worker and for two"
    assert one.images == len(source), "every image must be written"
    if isinstance(chosen, MaskOptions):
        _check_damaged_mask(format, source, folder, chosen)
    if format.read is not None:
        _check_round_trip(format, source, one.out, keeps)
        _check_damaged_files(format, one.out, folder / "damaged")
    assert _digests(source.root) == before, "the source must stay as it is"


def _hostile_dataset(root: Path) -> Dataset:
    """Shapes that formats tend to lose, as binary masks and as index masks."""
    (root / "masks").mkdir(parents=True)
    rng = seeds.generator(0, "format contract")
    rows, columns = np.indices((40, 56))
    ring = np.hypot(rows - 20, columns - 28)
    shapes = {
        "point": (rows == 11) & (columns == 17),
        "rings größe 絨毯": ((ring < 18) & (ring >= 14)) | ((ring < 9) & (ring >= 6)) | (ring < 1),
        "diagonal": (rows == columns) & (rows < 30),
        "border": (rows < 9) & (columns < 12) | (rows >= 35) & (columns > 40),
        "full": rows >= 0,
        "checkers": ((rows + columns) % 2 == 0) & (rows < 12) & (columns < 12),
    }
    samples = []
    for number, (name, mask) in enumerate(shapes.items()):
        values = rng.integers(0, 255, (*mask.shape, 3)[: 2 + number % 2], dtype=np.uint8)
        class_name = ("hole", "naht ö")[number % 2]
        write_png(root / f"{name}.png", values)
        write_png(root / "masks" / f"{name}.png", mask.astype(np.uint8) * 255)
        side: Side = ("train", "test")[number % 2]
        annotation = MaskFile(f"masks/{name}.png")
        samples.append(Sample(name, f"{name}.png", class_name, 56, 40, annotation=annotation, side=side))
    touching = np.zeros((40, 56), np.uint8)
    touching[5:20, 5:20], touching[5:20, 20:40], touching[20:24, 5:40] = 1, 2, 3
    write_png(root / "masks" / "touching.png", touching)
    table = IndexFile("masks/touching.png", ((1, "hole"), (2, "hole"), (3, "naht ö")))
    for name, class_name, marks in (("touching", "combined", table), ("plain", GOOD, None)):
        write_png(root / f"{name}.png", rng.integers(0, 255, (40, 56), dtype=np.uint8))
        samples.append(Sample(name, f"{name}.png", class_name, 56, 40, annotation=marks, side="train"))
    return from_samples(samples, root=root, name="hostile shapes", license="CC BY 4.0", format="contract")


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARKER
    }


def _read_all(format: Format, root: Path) -> Dataset | None:
    """The data set with every mask opened; None where a problem was reported."""
    assert format.read is not None
    try:
        dataset = format.read(root, ReadOptions())
        for sample in dataset:
            if sample.annotation is not None:
                sample.mask()
    except CarpetDataError:
        return None
    return dataset


def _check_round_trip(format: Format, source: Dataset, out: Path, keeps: str) -> None:
    again = _read_all(format, out)
    assert again is not None, "what was written must be readable"
    assert again.format == format.name, f"the data set must say that it was read as {format.name!r}"
    by_image = {file_sha256(again.path(sample.image_path)): sample for sample in again}
    assert len(by_image) == len(source), f"{len(by_image)} of {len(source)} images came back"
    for sample in source:
        found = by_image[file_sha256(source.path(sample.image_path))]
        assert (found.width, found.height) == (sample.width, sample.height), f"{sample.id!r} has another size"
        assert found.side == sample.side, f"{sample.id!r} went from {sample.side} to {found.side}"
        if keeps != "instances":
            assert found.class_name == sample.class_name, f"{sample.id!r} became {found.class_name!r}"
        if keeps == "classes" or sample.class_name == GOOD:
            continue
        lost = int((found.mask() != sample.mask()).sum())
        assert lost == 0, f"{lost} pixels of {sample.id!r} differ"
        if keeps == "instances":
            wanted, had = (sorted((each.class_name, each.rle) for each in s.instances()) for s in (sample, found))
            assert wanted == had, f"{sample.id!r} has {len(had)} instances, {len(wanted)} were written, or others"
    if keeps == "instances":
        assert again.categories == source.categories, "the defect types must keep their order"


def _check_damaged_mask(format: Format, source: Dataset, folder: Path, options: ExportOptions) -> None:
    broken = Path(shutil.copytree(source.root, folder / "broken"))
    (broken / "masks" / "point.png").write_bytes(b"no image")
    try:
        export(replace(source, root=broken), format, folder / "never", options)
    except CarpetDataError:
        assert not (folder / "never").exists(), "an export that fails must leave nothing"
        return
    raise AssertionError("a mask that cannot be read must be a CarpetDataError")


def _check_damaged_files(format: Format, out: Path, folder: Path) -> None:
    """Every file that is not an image, cut short and replaced: an error or a data set, never another exception."""
    for path in sorted(out.rglob("*")):
        if not path.is_file() or path.name == MARKER or is_image(path.name):
            continue
        whole = path.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], b"\x00\xff{[", whole.replace(b"1", b"\xc3")):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(out, folder)
            (folder / path.relative_to(out)).unlink()
            (folder / path.relative_to(out)).write_bytes(damaged)
            _read_all(format, folder)
