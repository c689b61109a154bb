"""What must hold for any entry, name and set of instances."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.core import masks
from carpet_data.dataset import GOOD, IndexFile, MaskFile, MaskStack, Sample
from carpet_data.store import conversion, manifest, names
from carpet_data.store.json_files import to_line
from carpet_data.store.manifest import Tombstone

texts = st.text(min_size=1, max_size=40)
paths = st.from_regex(r"[a-zA-Z0-9_ äü]{1,12}(/[a-zA-Z0-9_.]{1,12}x){0,3}", fullmatch=True)
digests = st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tables = st.lists(st.integers(1, 65535), unique=True, max_size=5).flatmap(
    lambda numbers: st.tuples(*(st.tuples(st.just(n), texts) for n in sorted(numbers)))
)
samples = st.builds(
    Sample,
    id=texts,
    image_path=paths,
    class_name=texts,
    width=st.integers(1, 10**6),
    height=st.integers(1, 10**6),
    annotation=st.none() | st.builds(MaskFile, paths) | st.builds(IndexFile, paths, tables),
    origin=st.sampled_from(["real", "synthetic"]),
    side=st.none() | st.sampled_from(["train", "val", "test"]),
    source=st.none() | texts,
    image_sha256=digests,
    mask_sha256=digests,
    group=st.none() | texts,
    provenance=st.none() | st.dictionaries(texts, json_values, max_size=4),
)
entries = samples | st.builds(Tombstone, samples, st.text(max_size=20))


@given(entries)
def test_an_entry_survives_its_line(entry: manifest.Entry) -> None:
    line = to_line(manifest.to_json(entry))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert manifest.parse(line, "here") == entry


@given(st.text(max_size=300))
def test_any_text_becomes_a_safe_file_name(text: str) -> None:
    name = names.component(text)
    assert 0 < len(name.encode()) <= 200
    assert not set(name) & set('/\\<>:"|?*')
    assert name.isprintable()
    assert not name.startswith(".")
    assert name == name.strip(" ")
    assert not name.endswith(".")
    # A safe name is left alone.
    assert names.component(name) == name


@given(texts, texts)
def test_two_texts_are_never_one_name(a: str, b: str) -> None:
    assert (names.component(a) == names.component(b)) == (a == b)


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.booleans(), st.sampled_from([4, 8]))
def test_instances_survive_their_conversion(seed: int, count: int, mixed: bool, connectivity: int) -> None:
    """Whatever form is chosen, the instances read back are those of the source: pixels and classes."""
    random = np.random.default_rng(seed)
    owner = random.integers(0, count + 1, (3, 4)).repeat(2, axis=0).repeat(2, axis=1)
    owner[random.random(owner.shape) < 0.3] = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = []
        for number in range(1, count + 1):
            assert cv2.imwrite(str(root / f"{number}.png"), (owner == number).astype(np.uint8) * 255)
            files.append((f"{number}.png", "cut" if mixed and number % 2 else "hole"))
        source = Sample("a", "a.png", "hole", 8, 6, annotation=MaskStack(tuple(files)))
        problem = conversion.inspect((folder, source))
        assert isinstance(problem, conversion.MaskForm)
        assert problem.form in ("binary", "index")
        (root / "mask.png").write_bytes(conversion.render(root, source, problem.form))  # type: ignore[arg-type]
        written = IndexFile("mask.png", problem.table) if problem.form == "index" else MaskFile("mask.png")
        copy = Sample("a", "a.png", "hole", 8, 6, annotation=written)
        wanted, got = (
            sorted(
                (name, runs.column.tolist(), runs.start.tolist(), runs.stop.tolist())
                for name, runs in masks.find(masks.load(root, sample), connectivity=connectivity)  # type: ignore[arg-type]
            )
            for sample in (source, copy)
        )
        assert got == wanted
        assert problem.lost == count - len(wanted)
        assert problem.empty == (not wanted)
        assert source.class_name != GOOD
