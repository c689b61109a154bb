"""Export a trained model to ONNX, its preprocessing inside."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carpet_data.core.results import Result
from carpet_data.errors import CarpetDataError, MissingExtraError, UsageError
from carpet_data.store.files import making, write_bytes
from carpet_data.store.output import check_file
from carpet_data.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carpet_data.prediction.onnx_parts import Parts
    from carpet_data.training.contract import Predictor

__all__ = ["ExportModelResult", "export_model"]

_INPUT = "images"
_TOLERANCE = 1e-3
"""Numbers of a network agree to 1e-5; a few pixels that are rounded the other way may add to it."""
_OPSET = 18
_TRIALS = ((61, 83), (512, 300))
"""Height and width of the images on which file and model are compared: one smaller and one larger than most squares."""


@dataclass(frozen=True, slots=True)
class ExportModelResult(Result):
    """An ONNX file.

    Attributes:
        out: The file.
        model: The model folder it was made from.
        task: What the model was trained for.
        classes: The model's, in the order of its outputs.
        inputs: name -> shape; a text stands for a size that may differ from call to call.
        outputs: name -> shape.
        difference: Largest difference between the file and the model on images of noise.
        size_bytes: Of the file.
    """

    out: Path
    model: Path
    task: str
    classes: tuple[str, ...]
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: Mapping[str, tuple[int | str, ...]]
    difference: float
    size_bytes: int

    def text(self) -> str:
        """The result for people."""
        shapes = [("input ", "uint8  ", self.inputs), ("output", "float32", self.outputs)]
        lines = [f"{self.task} model of {len(self.classes)} classes: {', '.join(self.classes)}"]
        for what, kind, found in shapes:
            lines += [f"{what} {name:13} {kind} ({', '.join(map(str, shape))})" for name, shape in found.items()]
        lines.append(f"largest difference from the model: {self.difference:.1e}")
        return "\n".join([*lines, f"{self.size_bytes / 1e6:.1f} MB: {self.out}"])


def export_model(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    height: int | None = None,
    width: int | None = None,
    overwrite: bool = False,
) -> ExportModelResult:
    """Export a trained model to ONNX: images in, predictions out.

    The file takes uint8 RGB images (n, height, width, 3) and resizes and normalizes them itself: of any size for a
    classifier, of one size for a dense model, which also gives a heat map. Its metadata hold classes, task and sizes.
    It is compared with the model in onnxruntime before it is written.

    Args:
        model: A run folder or model folder that `train` wrote.
        out: The file, *.onnx.
        height: Rows of the images, for a dense model.
        width: Columns of the images, for a dense model.
        overwrite: Replace the file.

    Raises:
        UsageError: Models of this kind cannot be exported, or the name does not end in .onnx.
        WeightsError: There is no model, or it is damaged.
        OutputError: The file exists, or cannot be written.
        MissingExtraError: The extra `onnx` is not installed.

    Example:
        >>> import carpet_data as cd
        >>> cd.export_model("carpet-prepared/runs/train-001", "carpet.onnx").inputs  # doctest: +SKIP
        {'images': ('batch', 'height', 'width', 3)}
    """
    target = Path(out)
    if target.suffix.lower() != ".onnx":
        raise UsageError("the name of the file must end in .onnx", where=target, hint="such as -o model.onnx")
    check_file(target, overwrite=overwrite)
    MissingExtraError.require(("torch",), "train", "a network")
    MissingExtraError.require(("onnx", "onnxruntime", "onnxscript"), "onnx", "the export of a model")
    from carpet_data.prediction.onnx_parts import parts_of
    from carpet_data.prediction.options import PredictOptions
    from carpet_data.prediction.session import Session

    session = Session.open(Path(model), PredictOptions(device="cpu"))
    parts = parts_of(session.model, _size(height, width))
    data = _with_metadata(_exported(parts), session.model, parts)
    inputs, outputs, difference = _compared(data, session.model, parts)
    with making(target):
        write_bytes(target, data)
    return ExportModelResult(
        out=target,
        model=session.folder,
        task=session.model.task,
        classes=session.model.classes,
        inputs=inputs,
        outputs=outputs,
        difference=difference,
        size_bytes=len(data),
    )


def _size(height: int | None, width: int | None) -> tuple[int, int] | None:
    if height is None and width is None:
        return None
    if height is None or width is None or min(height, width) < 1:
        raise UsageError(f"invalid size: height {height}, width {width}", hint="give both --height and --width")
    return height, width


def _exported(parts: Parts) -> bytes:
    import torch

    shape = (2, *(parts.size or _TRIALS[0]), 3)
    example = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    free = ("batch", "height", "width") if parts.size is None else ("batch",)
    sizes = {_INPUT: {axis: torch.export.Dim(name) for axis, name in enumerate(free)}}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            parts.module,
            (example,),
            dynamo=True,
            input_names=[_INPUT],
            output_names=list(parts.outputs),
            dynamic_shapes=sizes,
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of its own steps and of its own deprecations."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _with_metadata(data: bytes, model: Predictor, parts: Parts) -> bytes:
    import onnx

    proto = onnx.load_from_string(data)
    del proto.metadata_props[:]  # notes of the exporter on itself
    proto.producer_name, proto.producer_version = "carpet-data", __version__
    told = {"task": model.task, "classes": json.dumps(list(model.classes)), **parts.metadata}
    for key, value in told.items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


def _compared(data: bytes, model: Predictor, parts: Parts) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Shapes of inputs and outputs, and the largest difference between file and model.

    Raises:
        CarpetDataError: They differ by more than 1e-3.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    largest = 0.0
    for height, width in _TRIALS if parts.size is None else (parts.size, parts.size):
        # Smooth pictures with some grain: noise alone leaves networks in regions where nothing happens.
        image = _picture(random, height, width)
        wanted = parts.expected(model.predict([image])[0])
        found = dict(zip(parts.outputs, session.run(list(parts.outputs), {_INPUT: image[None]}), strict=True))
        for name, values in wanted.items():
            largest = max(largest, float(np.abs(np.asarray(found[name][0], np.float64) - values).max()))
    if not largest <= _TOLERANCE:
        raise CarpetDataError(
            f"the ONNX file differs from the model by {largest:.1e}, more than {_TOLERANCE:.0e}, so it was not written",
            hint="report this with the versions of torch and onnxruntime",
        )
    inputs = {each.name: tuple(each.shape) for each in session.get_inputs()}
    return inputs, {each.name: tuple(each.shape) for each in session.get_outputs()}, largest


def _picture(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    import cv2

    coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    return np.clip(np.rint(smooth + random.normal(0, 8, (height, width, 3))), 0, 255).astype(np.uint8)
