"""What `--skip-faulty` means: the same for every command that reads a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command import Called
from helpers.sources import write_source

from carpet_data.errors import ProblemsError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.export import export

SKIP = ReadOptions(skip_faulty=True)
COUNTS = {"train/good": 3, "test/hole": 4, "test/thread": 3}
BROKEN_IMAGE = "test/hole/001.png"
BROKEN_MASK = "ground_truth/thread/002_mask.png"
"""The mask of test/thread/002.png."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = write_source(tmp_path / "raw", COUNTS)
    (root / BROKEN_IMAGE).write_bytes(b"no image")
    (root / BROKEN_MASK).write_bytes(b"")
    return root


@pytest.fixture
def at_fault(source: Path) -> list[str]:
    return [str(source / BROKEN_IMAGE), str(source / "test/thread/002.png")]


def test_the_reader_leaves_out_what_it_cannot_read(source: Path) -> None:
    with pytest.raises(ProblemsError, match="001"):
        read(source)
    dataset = read(source, SKIP)
    assert len(dataset) == 9
    assert [error.where for error in dataset.skipped] == [str(source / BROKEN_IMAGE)]
    assert dataset.of_class("hole").skipped == dataset.skipped


@pytest.mark.parametrize("to", ["coco", "yolo", "voc", "mvtec", "masks"])
def test_an_export_leaves_out_the_image_of_a_damaged_mask(
    source: Path, tmp_path: Path, to: str, at_fault: list[str]
) -> None:
    with pytest.raises(ProblemsError):
        export(source, to, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    done = export(source, to, tmp_path / "out", read_options=SKIP, workers=1)
    assert [error.where for error in done.skipped] == at_fault
    assert BROKEN_MASK in done.skipped[1].what
    assert done.images == 8
    names = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [name for name in names if name.startswith(("test_hole_001", "test_thread_002"))]


def test_what_a_failed_sample_wrote_is_gone(tmp_path: Path) -> None:
    """MVTec masks are written before the image is placed; nothing of the sample stays when that fails."""
    root = write_source(tmp_path / "raw", COUNTS)
    dataset = read(root)
    (root / "test/hole/002.png").unlink()
    done = export(dataset, "mvtec", tmp_path / "out", read_options=SKIP, workers=1)
    assert [error.where for error in done.skipped] == [str(root / "test/hole/002.png")]
    assert not list((tmp_path / "out").rglob("test_hole_002*"))


def test_nothing_but_faults_is_an_error(tmp_path: Path) -> None:
    root = write_source(tmp_path / "raw", COUNTS)
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    for verb in (lambda: read(root, SKIP), lambda: export(root, "coco", tmp_path / "out", read_options=SKIP)):
        with pytest.raises(ProblemsError):
            verb()
    assert not (tmp_path / "out").exists()


VERBS: list[tuple[str, ...]] = [
    ("prepare", "--fractions", "0.5", "0.5", "--workers", "1"),
    ("to-coco", "--workers", "1"),
    ("export", "--to", "masks", "--workers", "1"),
    ("stats", "--workers", "1"),
    ("preview",),
    ("report", "--workers", "1"),
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_every_verb_lists_what_it_leaves_out(
    source: Path, tmp_path: Path, verb: tuple[str, ...], at_fault: list[str], run: Callable[..., Called]
) -> None:
    name, *options = verb
    suffix = {"report": ".html", "preview": ".png"}.get(name, "")
    out = () if name == "stats" else ("-o", tmp_path / f"out{suffix}")
    refused = run(name, source, *options, *out)
    assert refused.code == 1
    assert not list(tmp_path.glob("out*"))
    listed = run(name, source, *options, *out, "--skip-faulty", "--json")
    assert listed.code == 0, listed.out
    assert [each["where"] for each in listed.json["skipped"]] == at_fault
    again = () if name == "stats" else ("--overwrite",)
    shown = run(name, source, *options, *out, "--skip-faulty", *again)
    assert "skipped 2 images with errors" in shown.out + shown.err
    assert all(Path(path).name in shown.out + shown.err for path in at_fault)


def test_many_are_counted_and_the_first_shown(tmp_path: Path, run: Callable[..., Called]) -> None:
    root = write_source(tmp_path / "raw", {"train/good": 9, "test/hole": 3})
    for number in range(7):
        (root / f"train/good/{number:03}.png").write_bytes(b"")
    shown = run("to-folder", root, "-o", tmp_path / "out", "--skip-faulty", "--workers", "1")
    assert "skipped 7 images with errors" in shown.out
    assert "and 2 more (--json lists all)" in shown.out


def test_doctor_has_no_such_option(source: Path, run: Callable[..., Called]) -> None:
    """It lists every problem and leaves out none."""
    assert run("doctor", source, "--skip-faulty").code == 2
