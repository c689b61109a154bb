"""The table of layouts. Each entry is what its authors publish; see `Layout` for the language of the patterns."""

from __future__ import annotations

import functools

from carpet_data.dataset import GOOD
from carpet_data.formats.classes.rules import DEFECT
from carpet_data.formats.layouts.layout import Images, Layout
from carpet_data.formats.layouts.recognition import holds_parts
from carpet_data.formats.layouts.tables import dagm_labels, visa_labels, voc_sides

__all__ = [
    "AITEX",
    "DAGM",
    "KOLEKTOR_SDD",
    "KOLEKTOR_SDD2",
    "LAYOUTS",
    "MAGNETIC_TILES",
    "MVTEC_3D",
    "NEU_SEG",
    "REAL_IAD",
    "VISA",
    "VOC_MASKS",
]

VISA = Layout(
    "visa",
    "VisA",
    'Zou et al., 2022, "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation"',
    "image_anno.csv names the types; an image of several is combined. Without it, the class is the folder. Any "
    "mask value but 0 is a defect; --mask-classes names the types that the values stand for.",
    (
        "image_anno.csv",
        "Data/Images/Normal/0000.JPG",
        "Data/Images/Anomaly/000.JPG",
        "Data/Masks/Anomaly/000.png",
    ),
    images=(Images("Data/Images/{class}/{stem}.*"), Images("Images/{class}/{stem}.*")),
    masks=("Data/Masks/{class}/{stem}.*", "Masks/{class}/{stem}.*"),
    signs=(("Data/Images", "Data/Masks"), ("Images/Anomaly", "Masks/Anomaly"), ("Images/Anomaly", "Images/Normal")),
    # A mask's values number the types within its category; any but 0 is a defect.
    threshold=1,
    labels=visa_labels,
)

DAGM = Layout(
    "dagm",
    "DAGM 2007",
    "Wieler and Hahn, 2007, Weakly Supervised Learning for Industrial Optical Inspection (DAGM symposium)",
    "Name one ClassN folder: each is a texture of its own. Labels.txt says which images show a defect, else the "
    "masks do.",
    ("Train/0001.PNG", "Train/Label/0001_label.PNG", "Train/Label/Labels.txt", "Test/…"),
    images=(Images("{side}/{stem}.*"),),
    masks=("{side}/Label/{stem}_label{part}.*",),
    signs=(("{side}/Label/*_label.*",),),
    labels=dagm_labels,
)

_BESIDE = ("{group}/{stem}_label{part}.*", "{group}/{stem}_mask{part}.*", "{group}/{stem}_gt{part}.*")

KOLEKTOR_SDD = Layout(
    "kolektor-sdd",
    "KolektorSDD",
    'Tabernik et al., 2020, "Segmentation-based deep-learning approach for surface-defect detection"',
    "The class comes from the mask: an empty one is good. Each folder is a part, and a group that is never split across"
    " train and test. Numbered folders of other names count if many masks in them are empty.",
    ("kos01/Part0.jpg", "kos01/Part0_label.bmp", "kos02/…"),
    images=(Images("{group}/{stem}.*"),),
    masks=_BESIDE,
    recognize=functools.partial(holds_parts, masks=_BESIDE),
    every_mask=True,
)

KOLEKTOR_SDD2 = Layout(
    "kolektor-sdd2",
    "KolektorSDD2",
    'Božič et al., 2021, "Mixed supervision for surface-defect detection: from weakly to fully supervised learning"',
    "The class comes from the mask: an empty one is good.",
    ("train/10000.png", "train/10000_GT.png", "test/…"),
    images=(Images("{side}/{stem}.*"),),
    masks=("{side}/{stem}_GT{part}.*",),
    signs=(("{side}/*_GT.*",),),
    every_mask=True,
)

AITEX = Layout(
    "aitex",
    "AITEX",
    'Silvestre-Blanes et al., 2019, "A Public Fabric Database for Defect Detection Methods and Results"',
    "The class is the defect code in the name (the second number). Several masks of an image are united.",
    (
        "NODefect_images/2306881-210020u/0000_000_00.png",
        "Defect_images/0044_019_04.png",
        "Mask_images/0044_019_04_mask1.png",
        "Mask_images/0044_019_04_mask2.png",
    ),
    images=(
        Images("NODefect_images/{stem}.*", GOOD),
        Images("NODefect_images/{folder}/{stem}.*", GOOD),
        # The number of the image, the code of the defect, the code of the fabric.
        Images("Defect_images/{stem}.*", DEFECT, class_in_stem=r"^\d+_(\d+)_\d+$"),
    ),
    masks=("Mask_images/{stem}_mask{part}.*", "Mask_images/{stem}.*"),
    signs=(("Defect_images", "Mask_images"), ("Defect_images", "NODefect_images")),
)

MVTEC_3D = Layout(
    "mvtec-3d",
    "MVTec 3D-AD",
    'Bergmann et al., 2022, "The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and Localization"',
    "Only the color images are read; xyz is left out.",
    ("train/good/rgb/000.png", "test/crack/rgb/000.png", "test/crack/gt/000.png", "test/crack/xyz/000.tiff"),
    images=(Images("{side}/{class}/rgb/{stem}.*"),),
    masks=("{side}/{class}/gt/{stem}.*",),
    signs=(("{side}/*/rgb", "{side}/*/xyz"), ("{side}/*/rgb", "{side}/*/gt")),
    documents=("calibration/{any}",),
    aside=(("{side}/{class}/xyz/{any}", "positions in space; only the color images are read"),),
)

REAL_IAD = Layout(
    "real-iad",
    "Real-IAD",
    'Wang et al., 2024, "Real-IAD: A Real-World Multi-View Dataset for Benchmarking Versatile Industrial Anomaly '
    'Detection"',
    "The class is the code below NG. Each S folder holds the views of one part, and is a group. Masks lie beside "
    "the images, as PNG.",
    (
        "OK/S0001/audiojack_0001_OK_C1.jpg",
        "NG/AK/S0030/audiojack_0030_NG_AK_C1.jpg",
        "NG/AK/S0030/audiojack_0030_NG_AK_C1.png",
    ),
    images=(
        Images("OK/{group}/{stem}.*", GOOD),
        Images("OK/{stem}.*", GOOD),
        Images("NG/{class}/{group}/{stem}.jpg"),
        Images("NG/{class}/{stem}.jpg"),
    ),
    masks=(
        "NG/{class}/{group}/{stem}_mask{part}.png",
        "NG/{class}/{group}/{stem}.png",
        "NG/{class}/{stem}_mask{part}.png",
        "NG/{class}/{stem}.png",
    ),
    signs=(("OK", "NG/*/*/*.*"), ("OK", "NG/*/*.*"), ("NG/*/s*",)),
)

MAGNETIC_TILES = Layout(
    "magnetic-tiles",
    "Magnetic tile defects",
    'Huang, Qiu and Yuan, 2018, "Surface defect saliency of magnetic tile"',
    "The class is the folder without MT_; Free is good.",
    ("MT_Free/Imgs/exp1_num_4727.jpg", "MT_Blowhole/Imgs/exp1_num_108719.jpg", "MT_Blowhole/Imgs/exp1_num_108719.png"),
    images=(Images("MT_{class}/Imgs/{stem}.jpg"),),
    masks=("MT_{class}/Imgs/{stem}.png",),
    signs=(("MT_*/Imgs",),),
    good=frozenset({"free"}),
)

NEU_SEG = Layout(
    "neu-seg",
    "NEU-seg, mmsegmentation",
    'Dong et al., 2020, "PGA-Net: Pyramid Feature Fusion and Global Context Attention Network for Automated Surface '
    'Defect Detection"',
    "Masks hold class numbers, which --mask-classes names; binary masks do without. An image of several classes "
    "is combined.",
    (
        "images/training/000001.jpg",
        "annotations/training/000001.png",
        "images/test/…",
        "annotations/test/…",
        "or img_dir/… and ann_dir/…",
    ),
    images=(
        Images("images/{side}/{stem}.*"),
        Images("images/{stem}.*"),
        Images("img_dir/{side}/{stem}.*"),
        Images("img_dir/{stem}.*"),
    ),
    masks=("annotations/{side}/{stem}.*", "annotations/{stem}.*", "ann_dir/{side}/{stem}.*", "ann_dir/{stem}.*"),
    signs=(("images", "annotations/*.*"), ("images", "annotations/{side}/*.*"), ("img_dir", "ann_dir")),
    every_mask=True,
)

VOC_MASKS = Layout(
    "voc",
    "Pascal VOC masks",
    'Everingham et al., 2010, "The Pascal Visual Object Classes Challenge"',
    "Masks hold class numbers, which labelmap.txt or --mask-classes names; 255 is never a defect. Images without "
    "a mask are left out, since it is unknown what they show. Boxes are not read.",
    ("JPEGImages/000.jpg", "SegmentationClass/000.png", "SegmentationObject/000.png", "labelmap.txt"),
    images=(Images("JPEGImages/{stem}.*"),),
    masks=("SegmentationClass/{stem}.*",),
    signs=(("JPEGImages", "SegmentationClass"),),
    masked_alone=True,
    class_list="labelmap.txt",
    sides=voc_sides,
    documents=("ImageSets/{any}", "labelmap.txt"),
    aside=(
        ("SegmentationObject/{any}", "instances; they are found in the class masks"),
        ("Annotations/{any}", "boxes; the masks are read"),
    ),
)

LAYOUTS = (VISA, DAGM, KOLEKTOR_SDD, KOLEKTOR_SDD2, AITEX, MVTEC_3D, REAL_IAD, MAGNETIC_TILES, NEU_SEG, VOC_MASKS)
