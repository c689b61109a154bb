"""Recipes: strict YAML, faults with file and line, extends, and identities that last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import disc_method
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.errors import CarpetDataError, DataError, ProblemsError, UsageError
from carpet_data.synthesis.recipe import files, registry, strict_yaml
from carpet_data.synthesis.recipe.model import Envelope, Recipe

DISC = "schema: 1\nmethod: disc\nversion: 1\n"


@pytest.fixture(autouse=True)
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.METHODS.builtin, "disc", (disc_method.TARGET, "a disc"))
    monkeypatch.setitem(
        registry.METHODS.builtin, "donor-disc", ("helpers.disc_method:DonorDisc", "a disc of its donor")
    )


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path) -> list[CarpetDataError]:
    with pytest.raises(DataError) as caught:
        files.load(path)
    return list(caught.value.problems) if isinstance(caught.value, ProblemsError) else [caught.value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-7", -7),
        ("007", 7),
        (".5", 0.5),
        ("5.", 5.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("<<", "<<"),
        ("'1'", "1"),
        ('"true"', "true"),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: Any) -> None:
    found = strict_yaml.parse(f"a: {text}\n", "x").values["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "duplicate key"),
        ("a:\n  b: 1\n  b: 2\n", 3, "duplicate key"),
        ("a: &x [1]\nb: *x\n", 1, "anchors"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a: [1, 2\nb: 3\n", 2, "invalid YAML"),
        ("? [1]\n: 2\n", 1, "key"),
        ("- 1\n", 1, "not a mapping"),
        ("a: 1\n\tb: 2\n", 2, "invalid YAML"),
    ],
)
def test_what_strict_yaml_refuses_is_named_by_line(text: str, line: int, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        strict_yaml.parse(text, "mine.yaml")
    assert caught.value.where == f"mine.yaml, line {line}"
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"a: " + b"[" * 5000, b"\x00", b"a: 1\n---\nb: 2\n", b"x" * (2 << 20)]
)
def test_files_that_are_no_recipe(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    with pytest.raises(DataError):
        files.load(path)


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    recipe = files.load(write(tmp_path, DISC + "parameters:\n  radius_px: [2, 9]\n"))
    assert recipe.name == "mine"
    assert recipe.document()["parameters"] == {
        "radius_px": [2, 9],
        "level": 255,
        "redraw_share": 0.0,
        "outside": False,
        "blend": {"soft": 0.0},
    }
    assert recipe.document()["gates"]["outside_frac"] == 0.01


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        (DISC + "parameters:\n  radus_px: [1, 2]\n", 5, "unknown field 'parameters.radus_px'", "'radius_px'"),
        (DISC + "parameters:\n  blend: {sofd: 1}\n", 5, "parameters.blend.sofd", "'soft'"),
        (DISC + "gates:\n  visble: 2\n", 5, "gates.visble", "'visible'"),
        (DISC + "gats: {}\n", 4, "gats", "'gates'"),
        (DISC + "parameters:\n  level: '7'\n", 5, "parameters.level", "correct"),
        (DISC + "parameters:\n  level: 1:30\n", 5, "parameters.level", "correct"),
        (DISC + "parameters:\n  outside: no\n", 5, "parameters.outside", "correct"),
        (DISC + "parameters:\n  level: 300\n", 5, "parameters.level", "correct"),
        (DISC + "parameters:\n  radius_px:\n    - 1\n    - x\n", 7, "parameters.radius_px.1", "correct"),
        (DISC + "parameters: 5\n", 4, "parameters", "correct"),
        ("schema: 2\nmethod: disc\nversion: 1\n", 1, "schema", "correct"),
        ("schema: 1\nmethod: disk\nversion: 1\n", 2, "unknown method 'disk'", "'disc'"),
        ("schema: 1\nmethod: disc\nversion: 9\n", 3, "version 9", "version: 1"),
    ],
)
def test_faults_name_the_line_the_field_and_the_nearest(
    tmp_path: Path, text: str, line: int, what: str, hint: str
) -> None:
    (fault,) = faults_of(path := write(tmp_path, text))
    assert fault.where == f"{path}, line {line}"
    assert what in fault.what
    assert hint in str(fault.hint)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    faults = faults_of(
        write(tmp_path, "method: disc\nparameters: {level: -1, colour: red}\ngates: {area_slack: 0.5}\n")
    )
    assert len(faults) == 5
    for words in ("schema is", "version is", "parameters.level:", "field 'parameters.colour'", "gates.area_slack:"):
        assert sum(words in fault.what for fault in faults) == 1


def test_extends_lays_one_over_the_other(tmp_path: Path) -> None:
    write(
        tmp_path,
        DISC + "gates: {visible: 3, border: allow}\nparameters:\n  level: 9\n  radius_px: [1, 2]\n",
        "base.yaml",
    )
    mine = write(tmp_path, "extends: base.yaml\ngates: {visible: 1}\nparameters: {radius_px: [4, 5]}\n")
    recipe = files.load(mine)
    assert (recipe.envelope.gates.visible, recipe.envelope.gates.border) == (1, "allow")
    assert recipe.parameters.model_dump()["radius_px"] == (4, 5)
    assert recipe.parameters.model_dump()["level"] == 9
    # The same recipe written out has the same identity: how it is written is not what it is.
    out = DISC + "gates: {visible: 1, border: allow}\nparameters: {level: 9, radius_px: [4, 5]}\n"
    assert files.load(write(tmp_path, out, "out.yaml")).identity == recipe.identity


def test_a_fault_in_what_is_extended_is_named_there(tmp_path: Path) -> None:
    base = write(tmp_path, DISC + "parameters:\n  level: -9\n", "base.yaml")
    (fault,) = faults_of(write(tmp_path, "extends: base.yaml\nparameters: {radius_px: [4, 5]}\n"))
    assert fault.where == f"{base}, line 5"


@pytest.mark.parametrize(
    ("base", "mine", "words"),
    [
        ("extends: mine.yaml\n", "extends: base.yaml\n", "circular `extends`: "),
        (DISC, "extends: bse.yaml\n", "recipe file not found"),
        (DISC, "extends: donor-past\n", "unknown recipe"),
        (DISC, "extends: base.yaml\nmethod: donor-disc\n", "is a recipe of 'disc'"),
        (DISC, "extends: 5\n", "not a name"),
    ],
)
def test_extends_that_cannot_be(tmp_path: Path, base: str, mine: str, words: str) -> None:
    write(tmp_path, base, "base.yaml")
    (fault,) = faults_of(write(tmp_path, mine))
    assert words in fault.what
    assert "line" in str(fault.where)


def test_names_that_are_no_recipe() -> None:
    with pytest.raises(UsageError, match="unknown recipe 'donor-past'") as caught:
        files.load("donor-past")
    assert "'donor-paste'" in str(caught.value.hint)
    with pytest.raises(UsageError, match="recipe file not found"):
        files.load("nowhere/mine.yaml")


# A hash that changes here changes every id and every image of its recipe. New parameters declare
# `json_schema_extra={"added": True}`; anything else is a new version of the method.


def test_identities_last(tmp_path: Path) -> None:
    table = json.loads((Path(__file__).parents[1] / "golden" / "recipe_identities.json").read_text())
    found = {text: files.load(write(tmp_path, DISC + text)).identity for text in table}
    assert found == table


def test_labels_and_null_samples_change_no_image(tmp_path: Path) -> None:
    plain = files.load(write(tmp_path, DISC))
    labelled = files.load(write(tmp_path, DISC + "summary: a disc\nnull_share: 0.5\n", "other.yaml"))
    assert plain.identity == labelled.identity
    assert plain.kept() == labelled.kept()


def test_spelling_changes_no_identity(tmp_path: Path) -> None:
    a = files.load(write(tmp_path, DISC + "gates: {visible: 1}\nparameters: {level: 255}\n"))
    b = files.load(write(tmp_path, "# words\nversion: 1\nmethod: 'disc'\nschema: 1\ngates:\n  visible: 1.0\n"))
    assert a.identity == b.identity


class _Old(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    level: int = Field(1, description="x")


class _New(_Old):
    fresh: float = Field(0.5, description="x", json_schema_extra={"added": True})


def test_a_parameter_that_was_added_keeps_old_identities() -> None:
    envelope = Envelope(schema=1, method="disc", version=1)
    old, new, used = (
        Recipe("x", envelope, p, "t").identity for p in (_Old(level=4), _New(level=4), _New(level=4, fresh=1))
    )
    assert old == new
    assert used != new


def test_every_shipped_recipe_is_sound_and_teaches() -> None:
    assert "donor-paste" in files.shipped()
    for name in files.shipped():
        recipe = files.load(name)
        assert recipe.envelope.summary, name
        assert files.find(name).read_text(encoding="utf-8").startswith("# "), name


def test_a_broken_method_is_named() -> None:
    with pytest.raises(CarpetDataError, match="cannot be loaded"):
        registry.load("no_such_module:Thing")
    with pytest.raises(CarpetDataError, match="not a method"):
        registry.load("helpers.disc_method:Inner")


def test_the_shipped_recipes_keep_their_identities() -> None:
    """A changed hash means other images for people who ask again: raise the method's version, then the table."""
    table = json.loads((Path(__file__).parents[1] / "golden" / "shipped_recipes.json").read_text())
    assert {name: files.load(name).identity for name in files.shipped()} == table
