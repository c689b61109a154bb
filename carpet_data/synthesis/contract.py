"""The contract between the engine and the methods of synthesis.

The engine plans (which host, which donors, which seed) and writes; a method renders one candidate from the pixels it is
given; gates judge it. A method sees nothing but its scene, and a scene is built from training samples only: that is how
no test image can get into training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

Image: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]
Box: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height, half-open."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The strict order of a texture, measured in one image; see `ops.period.structure_of`.

    Attributes:
        lattice: Two vectors (x, y) in pixels that carry the texture into itself; None where no strict lattice repeats.
        direction_deg: The angle that lines run at, clockwise from +x on the screen, -90..90; None without one.
    """

    lattice: tuple[tuple[float, float], tuple[float, float]] | None
    direction_deg: float | None = None

    @property
    def longest_px(self) -> float:
        """The longer side of a cell of the lattice; 0 without one."""
        return max((float(np.hypot(*vector)) for vector in self.lattice), default=0.0) if self.lattice else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Donor:
    """One real defect image of the train side, cut to its defects and a collar around them.

    Attributes:
        id: The sample.
        image: uint8 hxwx3 RGB or hxw: the cut.
        mask: bool hxw: its defect pixels.
        box: Where the cut lies in the donor's image.
        size: (width, height) of the donor's image.
        foreground: bool, the donor's whole image: where its object is; None for textures. Methods that put a defect on
            the same part of the object read the object's pose from it.
        structure: The strict order of the donor's texture around its defects; None where there is none.
    """

    id: str
    image: Image
    mask: Mask
    box: Box
    size: tuple[int, int]
    foreground: Mask | None = None
    structure: Structure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Statistics of one class, from its training masks; free of pixels, part of the plan.

    Attributes:
        class_name: The class.
        areas_frac: Defect area of every train sample of the class, as a share of its image.
        component_counts: Components of every train sample.
        centers_frac: (x, y) of every component's center, as shares of width and height.
        touches_border_share: Share of train samples whose defect reaches the image border.
        is_object: Whether images show an object on a background (screw) rather than a texture (carpet).
        is_ordered: Whether most textures have a strict order (wire mesh, fine twill, rolled steel): see `Structure`.
        full_scale: The largest value that the files can hold: 255, or 4095 for a 12-bit camera in 16-bit files. Methods
            see it as 255, and what they change is written back in that range.
    """

    class_name: str
    areas_frac: tuple[float, ...]
    component_counts: tuple[int, ...]
    centers_frac: tuple[tuple[float, float], ...]
    touches_border_share: float
    is_object: bool
    is_ordered: bool = False
    full_scale: int = 255


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that a method may look at for one image.

    Attributes:
        host: uint8 HxWx3 RGB or HxW: an image without defects, turned and lit as planned. Never write into it.
        foreground: bool HxW: where the object is; None for textures (anywhere will do).
        donors: Cuts of the planned donors; empty for methods without donors.
        textures: Other train images, for methods that borrow texture; empty otherwise.
        facts: Of the class.
        whole: The first donor uncut, its image and its mask, for methods that ask for it (`Method.needs_whole`).
        null: A null sample is wanted: the donors hold good texture under a real mask, so a paste that cannot be seen
            is right and must not be a Redraw.
        structure: The strict order of the host's texture; None where there is none.
        flips: Whether the planned variation mirrored the host left to right, and top to bottom: what must keep its
            direction, such as light on a relief, has to be mirrored too.
    """

    host: Image
    foreground: Mask | None
    donors: tuple[Donor, ...]
    textures: tuple[Image, ...]
    facts: Facts
    whole: tuple[Image, Mask] | None = None
    null: bool = False
    structure: Structure | None = None
    flips: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What a method made of a scene.

    Attributes:
        image: uint8, the shape of the host.
        mask: bool HxW, the pixels that the defect visibly changed; all False for a null sample.
        box: A box that holds every changed pixel, so that gates need not look elsewhere.
        drawn: The parameters that were drawn, as plain JSON values, for the provenance.
        around: bool, of the size of the box: what changed along with the defect although its annotators left it out,
            such as the shading of a dent, or the place that a bent wire has left; None for nothing. The gate `outside`
            measures the rest, the gate `around` bounds this.
    """

    image: Image
    mask: Mask
    box: Box
    drawn: Mapping[str, Any] = field(default_factory=dict)
    around: Mask | None = None


class Redraw(Exception):  # noqa: N818
    """This draw cannot give an image (nowhere to put it, nothing visible): the engine counts it and draws again."""


class Unsuited(Redraw):
    """No draw can give an image of this donor or host, as the method cannot make such defects: says what to use."""


class Method(Protocol):
    """One way to make a defect. Methods derive from this class, and have its defaults for what they do not say.

    Attributes:
        version: Raised when the same parameters would give other pixels.
        Parameters: A frozen pydantic model with extra="forbid"; every field has a default and a description.
        donors_needed: Number of donors in a scene.
        textures_needed: Number of other train images in a scene.
        needs_whole: Whether the method works on the whole donor image: `Scene.whole` holds it with its mask, and the
            candidate shows that image instead of the host.
        makes_nulls: Whether a scene with `Scene.null` gives a sample without a defect.
        learned: Whether the method is fitted to the train side first, see `LearnedMethod`.
    """

    version: int
    Parameters: type[BaseModel]
    donors_needed: int = 0
    textures_needed: int = 0
    needs_whole: bool = False
    makes_nulls: bool = False
    learned: bool = False

    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        """Make one candidate: a pure function of its arguments.

        Args:
            scene: What may be looked at; its arrays are not to be written into.
            parameters: An instance of `Parameters`.
            rng: The only source of randomness.

        Raises:
            Redraw: This draw gives no image.
        """
        ...


class LearnedMethod(Method, Protocol):
    """A method that is fitted to the train side before it can render; torch is imported inside its functions only.

    This is what the engine asks of it; a fit asks for a `learner` too, see `carpet_data.learned.fit_plan`. `render`
    stays a pure function of its arguments and of the weights that were opened; on a CPU it computes on one thread, so
    that bytes do not depend on the number of workers.

    Attributes:
        least_donors: Minimum number of train images of a class that the method can learn it from.
    """

    learned: bool = True
    least_donors: int

    def open(self, folder: Path, device: str) -> None:
        """Load the networks for `render`; called once in each process.

        Args:
            folder: The weights, as the fit saved them.
            device: "cpu", "cuda", "cuda:1" or "mps".

        Raises:
            MissingExtraError: A package that the networks need is not installed.
            DataError: The weights are not those of this method.
        """
        ...


def is_learned(method: Method) -> TypeGuard[LearnedMethod]:
    """Whether a method needs a fitted model."""
    return method.learned
