"""A format that another package brings is read, recognized and written by its name alone, and keeps the contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import plugin

from carpet_data.weave.sample import sample


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return plugin.install(tmp_path_factory.mktemp("plugin"))


def test_it_keeps_the_contract(environment: dict[str, str], tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from carpet_data.formats import FORMATS
from carpet_data.testing import check_format
check_format(FORMATS.load("runs"), Path({str(tmp_path)!r}))
"""
    plugin.run(environment, "-c", code)


def test_the_command_line_writes_recognizes_and_reads_it(environment: dict[str, str], tmp_path: Path) -> None:
    carpet, runs, coco = tmp_path / "carpet", tmp_path / "runs", tmp_path / "coco"
    sample(carpet, size=96, seed=1, workers=1)
    one = ("--workers", 1, "--json")
    written = plugin.run(environment, "-m", "carpet_data", "export", carpet, "--to", "runs", "-o", runs, *one)
    result = json.loads(written)
    assert (result["format"], result["images"]) == ("runs", len((runs / "runs.jsonl").read_text().splitlines()))
    for chosen in (("--from", "runs"), ()):
        plugin.run(environment, "-m", "carpet_data", "to-coco", runs, *chosen, "-o", coco, "--overwrite", *one)
        checked = plugin.run(environment, "-m", "carpet_data", "check", coco, "--against", carpet, *one)
        assert json.loads(checked)["differing_pixels"] == 0
    code = f"import carpet_data as cd; print(cd.read({str(runs)!r}).to('coco', {str(tmp_path / 'api')!r}).images)"
    assert int(plugin.run(environment, "-c", code)) == result["images"]


def test_the_page_shows_the_module() -> None:
    page = (Path(__file__).parents[2] / "docs" / "add-a-format.md").read_text(encoding="utf-8")
    assert (plugin.SOURCE / plugin.NAME / "runs.py").read_text(encoding="utf-8") in page
