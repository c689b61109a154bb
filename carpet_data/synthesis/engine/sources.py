"""The source images of a synthesis: real training images of one split, and what their masks say.

Nothing else of a data set enters here, so nothing of val or test, no dropped sample and no synthetic one can reach a
new image: neither as pixels nor as a statistic.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from carpet_data.core import executor, masks
from carpet_data.core.progress import Progress
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Connectivity, Dataset, Sample
from carpet_data.errors import DataError, UsageError
from carpet_data.synthesis.contract import Box, Facts, Method
from carpet_data.synthesis.engine.depth import full_scale, read_scaled
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.ops.period import structure_of
from carpet_data.synthesis.plates.survey import PlateRecord, SurveyOptions, refusals, survey
from carpet_data.synthesis.recipe.model import Recipe

_SUBJECTS_LOOKED_AT = 8
_ORDERS_LOOKED_AT = 3
_MANY_MASKS = 256


@dataclass(frozen=True, slots=True)
class DonorRef:
    """A training image of the class.

    Attributes:
        box: Holds all its defect pixels of the class.
        areas: Pixels of each component.
        centers: (x, y) of each component's box, in pixels.
    """

    sample: Sample
    box: Box
    areas: tuple[int, ...]
    centers: tuple[tuple[float, float], ...]

    @property
    def touches_border(self) -> bool:
        """Whether the defect reaches the border of its image."""
        x, y, width, height = self.box
        return x == 0 or y == 0 or x + width == self.sample.width or y + height == self.sample.height


@dataclass(frozen=True, slots=True)
class HostRef:
    """A training image that new defects are put on.

    Attributes:
        plate: It shows defects; a clean plate of it is used, whose files `key` names.
        filled_from: Ids of the other images that lent pixels to the plate.
    """

    sample: Sample
    plate: bool = False
    key: str = ""
    filled_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """The donors and hosts of one class, each sorted by id.

    Attributes:
        hosts: Good training images, and after them clean plates where these are too few.
        facts: Statistics of the donors' masks.
        identity: Hex SHA-256 of which images these are, by their bytes, and of the model of a learned recipe; part of
            every seed.
        plates: The defect images that were tried as backgrounds, where good images are too few.
    """

    class_name: str
    donors: tuple[DonorRef, ...]
    hosts: tuple[HostRef, ...]
    facts: Facts
    identity: str = field(default="")
    plates: tuple[PlateRecord, ...] = ()


def build(
    dataset: Dataset,
    split: str,
    class_name: str,
    recipe: Recipe,
    *,
    workers: int | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Sources:
    """The source images of a defect class; the recipe says how many hosts are enough, and whether images show objects.

    Where good images are too few, clean plates are made of defect images; with `keep` they are stored.

    Raises:
        UsageError: The class is `good`.
        DataError: A mask or image cannot be read.
        OutputError: A plate cannot be stored.
    """
    if class_name == GOOD:
        raise UsageError(
            "good images are not synthesized",
            hint="name a defect class; null_share in a recipe adds null samples, which are labeled good",
        )
    train = dataset.on_side("train", split).of_origin("real")
    shown = [
        s for s in train if s.annotation is not None and (s.class_name == class_name or class_name in s.defect_classes)
    ]
    donors = _donors(dataset.root, shown, class_name, dataset.connectivity, workers)
    good = [HostRef(sample) for sample in train if sample.class_name == GOOD]
    few = len(good) < recipe.envelope.hosts.min_count
    shown_as = [HostRef(s) for s in train if few and s.class_name != GOOD and s.annotation is not None]
    looked_at = [*good, *shown_as]
    subject = recipe.envelope.subject
    full = full_scale(dataset.root, [*(host.sample for host in looked_at), *(donor.sample for donor in donors)])
    is_object = _is_object(dataset.root, looked_at, full) if subject == "auto" else subject == "object"
    plates: tuple[PlateRecord, ...] = ()
    if few:
        how = SurveyOptions(is_object, full, keep=keep, workers=workers)
        plates = survey(dataset.root, train.samples, how, progress=progress)
    hosts = good + [HostRef(each.sample, True, each.key, each.filled_from) for each in plates if each.passed]
    facts = replace(
        _facts(class_name, donors, is_object),
        is_ordered=not is_object and _is_ordered(dataset.root, looked_at, full),
        full_scale=full,
    )
    return Sources(class_name, donors, tuple(hosts), facts, _identity(donors, hosts), plates)


def _donors(
    root: Path, samples: Sequence[Sample], class_name: str, connectivity: Connectivity, workers: int | None
) -> tuple[DonorRef, ...]:
    measure = partial(_measure, root, class_name, connectivity)
    found = executor.run(measure, samples, workers=workers if len(samples) > _MANY_MASKS else 1, chunk=32)
    return tuple(donor for donor in found if donor is not None)


def _measure(root: Path, class_name: str, connectivity: Connectivity, sample: Sample) -> DonorRef | None:
    """A sample as a donor; None where its mask marks nothing of the class."""
    regions = masks.find(masks.load(root, sample), connectivity=connectivity)
    # An image of a mixed class ("combined") shows its own class by everything in it.
    of_class = [n for n, name in enumerate(regions.class_names) if class_name in (name, sample.class_name)]
    if not of_class:
        return None
    boxes = regions.bbox[of_class]
    x, y = int(boxes[:, 0].min()), int(boxes[:, 1].min())
    right, bottom = int((boxes[:, 0] + boxes[:, 2]).max()), int((boxes[:, 1] + boxes[:, 3]).max())
    centers = tuple((bx + bw / 2, by + bh / 2) for bx, by, bw, bh in boxes.tolist())
    return DonorRef(sample, (x, y, right - x, bottom - y), tuple(regions.area[of_class].tolist()), centers)


def _facts(class_name: str, donors: Sequence[DonorRef], is_object: bool) -> Facts:
    return Facts(
        class_name=class_name,
        areas_frac=tuple(sum(d.areas) / (d.sample.width * d.sample.height) for d in donors),
        component_counts=tuple(len(d.areas) for d in donors),
        centers_frac=tuple((x / d.sample.width, y / d.sample.height) for d in donors for x, y in d.centers),
        touches_border_share=sum(d.touches_border for d in donors) / max(1, len(donors)),
        is_object=is_object,
    )


def _is_object(root: Path, hosts: Sequence[HostRef], full: int) -> bool:
    """Whether most of a few evenly picked hosts show an object on a background."""
    step = max(1, len(hosts) // _SUBJECTS_LOOKED_AT)
    seen = [
        foreground.find(read_scaled(root / host.sample.image_path, full)) is not None
        for host in hosts[::step][:_SUBJECTS_LOOKED_AT]
    ]
    return 2 * sum(seen) > len(seen)


def _is_ordered(root: Path, hosts: Sequence[HostRef], full: int) -> bool:
    """Whether most of a few evenly picked hosts show a texture of a strict order."""
    step = max(1, len(hosts) // _ORDERS_LOOKED_AT)
    seen = [_shows_order(root, host.sample, full) for host in hosts[::step][:_ORDERS_LOOKED_AT]]
    return 2 * sum(seen) > len(seen)


@lru_cache(maxsize=256)
def _shows_order(root: Path, sample: Sample, full: int) -> bool:
    # Kept, because all classes of a set are put on the same hosts.
    return structure_of(read_scaled(root / sample.image_path, full)) is not None


def _identity(donors: Sequence[DonorRef], hosts: Sequence[HostRef]) -> str:
    rows = [
        *(("donor", d.sample.id, d.sample.image_sha256, d.sample.mask_sha256) for d in donors),
        *(("host", h.sample.id, h.sample.image_sha256, h.sample.mask_sha256) for h in hosts if not h.plate),
        *(("plate", h.sample.id, h.key) for h in hosts if h.plate),
    ]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def check(sources: Sources, root: Path, method: Method, *, hosts_needed: bool) -> None:
    """Refuse source images that a method cannot work with.

    Raises:
        DataError: There are no donors or hosts, or every donor is larger than every host.
    """
    name = sources.class_name
    if method.donors_needed and not sources.donors:
        raise DataError(
            f"no training image of {name!r} has a mask to take a defect from",
            where=root,
            hint="split so that the class has training images, or use a recipe without donors (--recipe procedural)",
        )
    if not hosts_needed:
        return
    if not sources.hosts:
        raise _without_background(sources, root)
    if method.textures_needed and len(sources.hosts) < 2:
        raise DataError(
            "the recipe takes texture from other images, but the train side has only one",
            where=root,
            hint="add good images, or use another recipe",
        )
    if method.donors_needed and not any(fits(donor, host) for donor in sources.donors for host in sources.hosts):
        raise DataError(
            f"every defect of {name!r} is larger than every good image",
            where=root,
            hint="use good images of the size of the defect images",
        )


def _without_background(sources: Sources, root: Path) -> DataError:
    tried = ""
    if sources.plates:
        reasons = ", ".join(f"{name} {count}" for name, count in refusals(sources.plates).items())
        plates = counted(len(sources.plates), "clean background")
        tried = f"; {plates} made from defect images failed the checks ({reasons})"
    else:
        tried = " and no defect image with a mask to make a background from"
    return DataError(
        f"the train side has no good image{tried}",
        where=root,
        hint="use a recipe that needs no background (--recipe augment, or augment-object), or add good images to the "
        "source and prepare it again; docs/synthesize.md says what the reasons mean",
    )


def fits(donor: DonorRef, host: HostRef) -> bool:
    """Whether a donor's defect is smaller than a host."""
    return donor.box[2] <= host.sample.width and donor.box[3] <= host.sample.height
