"""Which tests are slow, need torch, a browser or a kill: by folder and file, so that `make fast` can leave them out."""

from __future__ import annotations

import pytest

# Path below tests/ (a folder, a file or a test) -> its markers.
MARKERS: dict[str, tuple[str, ...]] = {
    "browser": ("browser", "slow"),
    "faults/test_curate_killed.py": ("kill", "slow"),
    "faults/test_prepare_killed.py": ("kill", "slow"),
    "faults/test_special_files.py": ("slow",),
    "faults/test_synthesize_killed.py": ("kill", "slow"),
    "faults/test_tile_killed.py": ("kill", "slow"),
    "oracle": ("oracle", "slow"),
    "real": ("slow",),
    "unit/dense": ("torch",),
    "unit/anomaly": ("torch",),
    "unit/experiments": ("torch",),
    "unit/learned": ("torch",),
    "unit/networks": ("torch",),
    "unit/training": ("torch",),
    "unit/prediction": ("torch",),
    "unit/prediction/test_export_dense.py": ("slow",),
    "unit/prediction/test_export_model.py": ("slow",),
    "unit/test_evidence_pools.py": ("torch", "slow"),
    "unit/test_learned_engine.py": ("torch",),
    "cases/test_paste_depth.py": ("slow",),
    "cli/test_fit.py": ("torch", "slow"),
    "cli/test_predict.py": ("torch", "slow"),
    "cli/test_report.py": ("torch", "slow"),
    "cli/test_sweep.py": ("torch", "slow"),
    "cli/test_synthesize_learned.py": ("torch", "slow"),
    "cli/test_train.py": ("torch", "slow"),
    "cli/test_validate.py": ("torch", "slow"),
    "cli/test_docs.py": ("torch", "slow"),
    "cli/test_site.py": ("slow",),
    "golden/test_json_keys.py": ("torch", "slow"),
    "cli/test_stats.py": ("slow",),
    "cli/test_unpack.py::test_interrupted_by_the_keyboard_it_leaves_nothing": ("slow",),
    "contract/test_methods.py": ("slow",),
    "contract/test_plugin_format.py": ("slow",),
    "contract/test_plugin_method.py": ("slow",),
    "contract/test_plugin_network.py": ("torch", "slow"),
    "unit/reporting": ("slow",),
    "unit/test_recipes.py::test_files_that_are_no_recipe": ("slow",),
    "cli/test_synthesize.py::test_the_literal_command_works_inside_a_data_folder": ("slow",),
    "cli/test_sample.py::test_writes_the_counts_asked_for": ("slow",),
    "cli/test_to_coco.py::test_real_data_come_back_to_the_pixel": ("slow",),
    "cli/test_prepare.py::test_the_homework_split": ("slow",),
    "cli/test_prepare.py::test_twice_the_same_bytes_with_any_number_of_workers": ("slow",),
    "cli/test_program.py::test_names_that_the_terminal_cannot_show": ("slow",),
    "unit/test_doctests.py": ("slow",),
    "unit/test_executor.py": ("slow",),
    "unit/test_resynthesis.py": ("slow",),
    "unit/test_score.py": ("slow",),
    "unit/tiling/test_tile.py::test_any_number_of_workers_writes_the_same_bytes": ("slow",),
}


NOT_FAST = frozenset({"browser", "kill", "oracle", "real", "slow", "torch"})
"""Tests with one of these are left out by `pytest --fast`; their files are not even imported."""


def markers_of(path: str) -> set[str]:
    """The markers of a folder or file below tests/, those of its folders included."""
    parts = path.split("/")
    places = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return {marker for place in places for marker in MARKERS.get(place, ())}


def mark(item: pytest.Item) -> None:
    """Give a test the markers of its folders, its file and its own name."""
    path, _, name = item.nodeid.removeprefix("tests/").partition("::")
    for marker in (*markers_of(path), *MARKERS.get(f"{path}::{name.partition('[')[0]}", ())):
        item.add_marker(marker)
