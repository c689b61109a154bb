"""Contract suites for plug-ins: what a method of your own promises. Call them in your package's tests."""

from __future__ import annotations

import importlib
import pickle
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel

from carpet_data.core import seeds
from carpet_data.synthesis.contract import Candidate, Donor, Facts, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.engine import gates
from carpet_data.synthesis.engine.render import REDRAW, drawn_values
from carpet_data.synthesis.engine.train_images import collared
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.model import GateRules
from carpet_data.weave.image import generator, render

__all__ = ["check_method", "sample_scene"]


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

    Example:
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
