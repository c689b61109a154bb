"""Every problem the doctor knows: a stable code, how bad it is, what it means, how to fix it."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.core.problems import Problem, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem.

    Attributes:
        name: Stable, for scripts.
        severity: "error" stops other commands or loses data; "warning" can spoil results; "info" is good to know.
        meaning: One line.
        hint: What to do about it.
    """

    name: str
    severity: Severity
    meaning: str
    hint: str


def problem(code: str, where: str, what: str, *, hint: str | None = None, files: tuple[str, ...] = ()) -> Problem:
    """A problem of a known code; its hint is the table's unless this case has a better one."""
    known = CODES[code]
    return Problem(known.severity, code, what, where, hint or known.hint, files)


_WHOLE = "replace the file with a whole copy, or remove it"
_PREPARE = "prepare the data set again from its source"
_SPLIT = "make the split again (carpet-data split)"
_MAKE_AGAIN = "drop the sample and make it again from train images"

_TABLE: tuple[tuple[str, Severity, str, str], ...] = (
    # files, whether image or mask
    ("missing-file", "error", "A file that the data set names is not there.", "restore the file, or remove its entry"),
    ("broken-link", "error", "A symbolic link leads nowhere.", "restore the file it leads to, or remove the link"),
    ("no-permission", "error", "A file may not be read.", "give yourself the right to read it (chmod u+r)"),
    ("empty-file", "error", "A file has no bytes.", _WHOLE),
    ("truncated", "error", "The end of an image file is missing.", _WHOLE),
    ("not-an-image", "error", "A file is no image that can be read, whatever its name says.", _WHOLE),
    ("too-large", "error", "An image has more pixels than the limit.", "cut it into tiles, or raise the limit"),
    ("damaged", "error", "An image file cannot be decoded.", _WHOLE),
    ("suspect-pixels", "warning", "The decoder found corrupt data inside; some pixels may be wrong.", _WHOLE),
    ("wrong-suffix", "warning", "The suffix does not match the content.", "rename the file after its content"),
    (
        "rotated",
        "warning",
        "EXIF asks for a rotation, which some tools apply and others ignore.",
        "save the pixels upright and drop the tag; carpet-data itself shows them upright",
    ),
    (
        "several-frames",
        "warning",
        "The file holds several pages or frames; only the first is read.",
        "save one per file",
    ),
    ("deep-image", "info", "An image has 16 bits a channel.", "nothing: it is scaled to 8 bits where it is read"),
    ("transparent", "info", "An image has an alpha channel.", "nothing: transparency is dropped where it is read"),
    ("blank-image", "warning", "An image shows nothing: all of its pixels are alike.", "replace or remove it"),
    # masks
    (
        "mask-missing",
        "error",
        "An image of a defect class has no mask.",
        "draw the mask, or move the image out of the data set",
    ),
    ("no-masks", "info", "No image has a mask: this data set can classify, not locate.", "nothing, or draw masks"),
    ("mask-orphan", "error", "A mask has no image.", "restore the image, correct the name, or remove the mask"),
    (
        "pairing",
        "error",
        "Names leave open which image a mask belongs to.",
        "rename the files so that each mask has the stem of one image",
    ),
    (
        "mask-size",
        "error",
        "A mask is not the size of its image.",
        "save the mask at the size of its image (nearest neighbour)",
    ),
    (
        "mask-turned",
        "error",
        "A mask fits its image as stored, not as EXIF rotates it.",
        "turn the mask as the tag says, or save the image upright without the tag",
    ),
    (
        "mask-turn-unclear",
        "warning",
        "EXIF rotates an image, and its mask may be drawn on the pixels as stored.",
        "look at both; the mask is taken to fit the image as displayed",
    ),
    (
        "mask-empty",
        "warning",
        "A mask of a defect class marks no pixel.",
        "draw the defect, or move the image to good; exports list it without instances",
    ),
    (
        "mask-lost",
        "error",
        "All values of a mask are below the threshold: the defect would be lost.",
        "give a lower threshold (--threshold 1), or save the mask as 0 and 255",
    ),
    (
        "mask-grey",
        "warning",
        "A mask has other values than 0 and one more: where the defect ends is a matter of the threshold.",
        "nothing if the threshold suits (--threshold); else save the mask as 0 and 255",
    ),
    ("mask-colour", "warning", "A mask is in colour; its largest channel counts.", "save it as grey, 0 and 255"),
    ("mask-palette", "warning", "A mask has a palette; its colours count, not its indices.", "save it as 0 and 255"),
    ("mask-alpha", "warning", "A mask has an alpha channel, which does not count.", "save it as grey, 0 and 255"),
    ("mask-deep", "info", "A mask has 16 bits; the threshold is taken as if scaled to 255.", "nothing"),
    ("mask-lossy", "warning", "A mask is stored with loss, which blurs its edges.", "save masks as PNG"),
    (
        "mask-inverted",
        "warning",
        "A mask marks its whole border and most of the image: it may be inverted.",
        "look at it; if the defect is black, save it inverted",
    ),
    (
        "mask-on-good",
        "error",
        "An image counts as good, but its mask marks a defect.",
        "move the image to its defect class, or remove the mask",
    ),
    (
        "mask-overlap",
        "error",
        "Instances of one image overlap, and a pixel can belong to one only.",
        "cut the overlap from one of them",
    ),
    (
        "annotation",
        "error",
        "An annotation (a label file, a line of COCO, an index mask) is wrong.",
        "correct it, or export it again",
    ),
    # the same picture
    (
        "duplicate-file",
        "warning",
        "Files with the same bytes: one image counted several times.",
        "keep one of them; carpet-data prepare keeps all on one side of every split",
    ),
    (
        "duplicate-pixels",
        "warning",
        "Files of other bytes with the same pixels.",
        "keep one of them; carpet-data prepare keeps all on one side of every split",
    ),
    (
        "class-conflict",
        "error",
        "The same image lies in two classes.",
        "find out which class is right and remove the other copy",
    ),
    (
        "near-duplicates",
        "warning",
        "Images that show the same thing: photographed again, resized, shifted or turned.",
        "keep them on one side of every split: carpet-data prepare does so with those it finds",
    ),
    (
        "split-leak",
        "warning",
        "Training and testing would see the same thing: results would look better than they are.",
        "split by groups, not by images",
    ),
    # the set
    ("size-unlike-rest", "warning", "An image is of another size than nearly all.", "check where it comes from"),
    ("sizes-vary", "info", "Images have many sizes.", "nothing, or resize; losses at batching are yours to choose"),
    ("channels-mixed", "warning", "Grey and colour images are mixed.", "save all of them as grey, or all as colour"),
    ("name-case", "warning", "Names that differ by case only: some systems take them for one file.", "rename one"),
    ("name-stem", "warning", "Images that differ by suffix only: whose is the mask?", "rename one, and its mask"),
    ("name-unicode", "warning", "Names that look the same but are spelled in other bytes (NFC, NFD).", "rename one"),
    (
        "name-not-portable",
        "info",
        "A name that other systems refuse (reserved words and characters).",
        "rename it with letters, digits, - and _",
    ),
    (
        "loco-masks",
        "error",
        "Folders of masks, one an image, as MVTec LOCO has them, in an MVTec AD layout.",
        "read the folder with --from mvtec-loco, or join the masks of each image into CLASS/STEM_mask.png",
    ),
    ("unknown-file", "info", "A file that no reader uses.", "remove it, or see whether its name or folder is wrong"),
    ("no-images", "error", "The folder holds no image.", "name the folder that holds train/ and test/"),
    (
        "class-small",
        "info",
        "A class of 2 to 4 images: too few to test on with any certainty.",
        "collect more, or use carpet-data split --protocol rotations, each image once in training",
    ),
    (
        "class-single",
        "info",
        "A class of one image: it can teach or test, not both.",
        "collect more, or use it for synthesis only",
    ),
    ("no-good", "info", "No image without defects: nothing shows what normal looks like.", "add a class called good"),
    # data sets that are one document
    ("unreadable-data-set", "error", "The document of a data set (COCO, YAML …) is wrong.", "write it again"),
    # prepared folders; `layout.verify` finds these and knows the hint of each case
    ("description-damaged", "error", "The dataset.json of a prepared folder is wrong.", _PREPARE),
    ("manifest-damaged", "error", "The manifest of a prepared folder is wrong.", _PREPARE),
    ("journal-damaged", "error", "The journal of a prepared folder is wrong.", _PREPARE),
    ("unfinished-command", "warning", "A command was stopped before it had finished.", "run it again"),
    ("class-unknown", "error", "Samples are of a class that dataset.json does not name.", _PREPARE),
    ("hash-mismatch", "error", "A file is not the one that was prepared.", _PREPARE),
    ("file-unknown", "warning", "A file that no sample has.", "remove it, or add it to the source instead"),
    ("split-damaged", "error", "The file of a split is wrong.", _SPLIT),
    ("split-id-unknown", "error", "A split names a sample that is not in the manifest.", _SPLIT),
    ("group-straddles", "error", "A group lies on two sides of a split.", _SPLIT),
    ("same-image-on-two-sides", "error", "Files with the same bytes are on two sides of a split.", _SPLIT),
    ("synthetic-held-out", "error", "A synthetic sample is held out for testing.", _SPLIT),
    ("ancestor-unknown", "error", "A synthetic sample was made from an image that is not there.", _MAKE_AGAIN),
    ("ancestor-held-out", "error", "A synthetic sample was made from a held-out image.", _MAKE_AGAIN),
    (
        "model-unknown",
        "error",
        "A synthetic sample came of a model that does not say what it was trained on.",
        "bring the folder of the model back, or drop its samples and make them again",
    ),
)

CODES: dict[str, Code] = {name: Code(name, severity, meaning, hint) for name, severity, meaning, hint in _TABLE}
"""Every code by its name, in the order of the report."""
