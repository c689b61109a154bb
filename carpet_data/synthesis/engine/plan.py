"""Plans: which host, which donors, how varied. No pixel is looked at, and image k depends on k alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from carpet_data.core import seeds
from carpet_data.synthesis.contract import Method
from carpet_data.synthesis.engine.sources import DonorRef, HostRef, Sources, fits
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["ImagePlan", "Planner", "Variation"]

_FLIPS = ((False, False), (True, False), (False, True), (True, True))


@dataclass(frozen=True, slots=True)
class Variation:
    """How a host differs from its file. Randomness is drawn in planning; rendering only follows.

    Attributes:
        angle_deg: Rotation, counterclockwise.
        shift_frac: (x, y) shift, as fractions of width and height. Such images are cropped, not mirrored.
        gain: Brightness factor.
    """

    flip_x: bool = False
    flip_y: bool = False
    angle_deg: float = 0.0
    shift_frac: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """The plan of one synthetic image.

    Attributes:
        k: Its number; null samples count for themselves.
        null: Whether it is a null sample: good pasted onto good.
        donors: Whose defects are used (for null samples: whose masks).
        textures: Other train images that texture is taken from.
        null_source: For null samples: the good image that is pasted, as it is.
        null_shift_frac: For null samples: the place of the mask in it, 0..1 of the free range.
        seed: As the user gave it.
        seed_key: Of its randomness, before the attempt.
    """

    k: int
    null: bool
    host: HostRef
    variation: Variation
    donors: tuple[DonorRef, ...]
    textures: tuple[HostRef, ...]
    null_source: HostRef | None
    null_shift_frac: tuple[float, float]
    seed: int
    seed_key: tuple[str | int, ...]

    @property
    def lent(self) -> tuple[str, ...]:
        """Ids of the images that lent pixels to the clean plates among its hosts and textures."""
        used = (self.host, *self.textures, *(() if self.null_source is None else (self.null_source,)))
        return tuple(sorted({name for ref in used for name in ref.filled_from}))

    def text(self) -> str:
        """The plan in words."""
        donors = ", ".join(dict.fromkeys(donor.sample.id for donor in self.donors)) or "no donor"
        null, plate = "null " * self.null, "the plate of " * self.host.plate
        return f"{null}{self.k}: {donors} on {plate}{self.host.sample.id}"

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values: ids instead of samples."""
        return {
            "k": self.k,
            "null": self.null,
            "host": self.host.sample.id,
            "plate": self.host.plate,
            "plate_from": list(self.lent),
            "variation": asdict(self.variation) | {"shift_frac": list(self.variation.shift_frac)},
            "donors": [donor.sample.id for donor in self.donors],
            "textures": [texture.sample.id for texture in self.textures],
            "null_source": None if self.null_source is None else self.null_source.sample.id,
            "seed": self.seed,
        }


class Planner:
    """Plans the images of one class; the same arguments give the same plan, whatever was planned before."""

    def __init__(self, sources: Sources, recipe: Recipe, method: Method, seed: int) -> None:
        self.sources = sources
        self._rules = recipe.envelope.hosts
        self._seed = seed
        self._key = (recipe.identity, sources.identity, sources.class_name)
        self._donors_needed = method.donors_needed
        self._textures_needed = method.textures_needed
        self._whole = method.needs_whole
        # Bound to this planner, so that two planners do not share orders.
        self._order = lru_cache(maxsize=64)(self._permutation)

    def plan(self, k: int, *, null: bool = False) -> ImagePlan:
        """The plan of image k, or of null sample k."""
        kind = "null" if null else "defect"
        rng = seeds.generator(self._seed, *self._key, "plan", kind, k)
        first = self._donor_order(k, kind)
        if self._whole and not null:
            # The donor's own image takes the host's part: it is on the train side too.
            host, variation = HostRef(first[0].sample), Variation()
        else:
            host, variation = self._host(k, kind, rng)
        donors = self._donors(first, host, rng)
        source: HostRef | None = None
        if null:
            others = [other for other in self.sources.hosts if other is not host]
            # Part of another object beside or across this one would be a defect, so an object is its own source.
            alone = self.sources.facts.is_object or not others
            source = host if alone else others[int(rng.integers(len(others)))]
        shift = rng.random(2)
        return ImagePlan(
            k=k,
            null=null,
            host=host,
            variation=variation,
            donors=donors,
            textures=self._textures(host, rng),
            null_source=source,
            null_shift_frac=(float(shift[0]), float(shift[1])),
            seed=self._seed,
            seed_key=(*self._key, kind, k),
        )

    def _permutation(self, what: str, count: int, turn: int) -> tuple[int, ...]:
        order = seeds.generator(self._seed, *self._key, what, turn).permutation(count)
        return tuple(order.tolist())

    def _host(self, k: int, kind: str, rng: np.random.Generator) -> tuple[HostRef, Variation]:
        hosts = self.sources.hosts
        turn, position = divmod(k, len(hosts))
        host = hosts[self._order(f"hosts {kind}", len(hosts), turn)[position]]
        return host, self._varied(turn, rng)

    def _varied(self, turn: int, rng: np.random.Generator) -> Variation:
        """The variation of a host's use number `turn`: none, then the exact ones, then those that interpolate."""
        rules, is_object = self._rules, self.sources.facts.is_object
        draw = rng.uniform(-1.0, 1.0, 4)
        if turn == 0:
            return Variation()
        gain = round(1.0 + rules.light * float(draw[0]), 4)
        flips = _FLIPS if (rules.flip_objects if is_object else rules.flip) else _FLIPS[:1]
        flip_x, flip_y = flips[turn % len(flips)]
        if is_object or turn < len(flips):
            return Variation(flip_x, flip_y, gain=gain)
        angle = round(rules.rotate_deg * float(draw[1]), 3)
        shift = (round(rules.shift_frac * float(draw[2]), 4), round(rules.shift_frac * float(draw[3]), 4))
        return Variation(flip_x, flip_y, angle, shift, gain)

    def _donor_order(self, k: int, kind: str) -> Sequence[DonorRef]:
        """All donors, beginning with the one whose turn it is."""
        donors = self.sources.donors
        if not donors:
            return ()
        turn, position = divmod(k, len(donors))
        order = self._order(f"donors {kind}", len(donors), turn)
        return [donors[n] for n in (*order[position:], *order[:position])]

    def _donors(self, order: Sequence[DonorRef], host: HostRef, rng: np.random.Generator) -> tuple[DonorRef, ...]:
        if not self._donors_needed:
            return ()
        if self._whole:
            return tuple(order[: self._donors_needed])
        fitting = [donor for donor in order if fits(donor, host)] or list(order)
        # On its own plate a defect would come back to where it was taken from.
        first = next((donor for donor in fitting if donor.sample.id != host.sample.id), fitting[0])
        others = [donor for donor in fitting if donor is not first]
        more = min(self._donors_needed - 1, len(others))
        chosen = [others[n] for n in rng.permutation(len(others))[:more].tolist()]
        picked = [first, *chosen]
        # A class of fewer donors than a method needs uses them again.
        return tuple(picked[n % len(picked)] for n in range(self._donors_needed))

    def _textures(self, host: HostRef, rng: np.random.Generator) -> tuple[HostRef, ...]:
        if not self._textures_needed:
            return ()
        others = [other for other in self.sources.hosts if other.sample.id != host.sample.id]
        order = rng.permutation(len(others)).tolist()
        return tuple(others[order[n % len(order)]] for n in range(self._textures_needed))
