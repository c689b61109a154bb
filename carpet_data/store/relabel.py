"""What a sample becomes when its image turns out to be of another class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from carpet_data.dataset import GOOD, Annotation, IndexFile, MaskFile, Sample
from carpet_data.store.names import image_path, mask_path


def relabelled(sample: Sample, class_name: str) -> Sample:
    """A sample of a prepared folder as one of another class.

    Its id, source, group and pixels stay; its files are named by the new class. The instances of the old class take the
    new one, those of other classes stay what they are. A good image has no mask. What made a synthetic sample stays
    in its provenance, with the change beside it.
    """
    annotation: Annotation | None = None
    if class_name != GOOD:
        mask = mask_path(sample.id, class_name)
        match sample.annotation:
            case MaskFile(threshold=threshold):
                annotation = MaskFile(mask, threshold)
            case IndexFile(table=table):
                annotation = IndexFile(
                    mask, tuple((index, class_name if name == sample.class_name else name) for index, name in table)
                )
            case other:
                annotation = other
    provenance = sample.provenance
    if provenance is not None:
        earlier = provenance.get("relabelled", [])
        provenance = {**provenance, "relabelled": [*earlier, [sample.class_name, class_name]]}
    return replace(
        sample,
        class_name=class_name,
        image_path=image_path(sample.id, class_name, PurePosixPath(sample.image_path).suffix),
        annotation=annotation,
        mask_sha256=None if annotation is None else sample.mask_sha256,
        provenance=provenance,
    )
