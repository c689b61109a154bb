"""Which network a run trains, settled once and written down, so that no run mixes two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carpet_data import networks
from carpet_data.core.progress import Progress
from carpet_data.errors import UsageError
from carpet_data.networks import Weights
from carpet_data.store import runs
from carpet_data.training.options import TrainOptions

__all__ = ["pinned", "refuse_other_network"]

_NETWORK = ("architecture", "weights")


def pinned(
    options: TrainOptions, *, download: bool = True, progress: Progress | None = None
) -> tuple[TrainOptions, Weights]:
    """The options with the network and the weights that "auto" means here and now, and these weights.

    Raises:
        UsageError: The network, or the name of the weights, is unknown.
        WeightsError: The weights cannot be had.
    """
    weights = networks.choose(options.architecture, options.weights, download=download, progress=progress)
    return options.but(architecture=weights.architecture, weights=weights.wanted), weights


def refuse_other_network(
    root: Path, command: str, asked: TrainOptions, settings: Mapping[str, Any], dataset: Mapping[str, Any]
) -> None:
    """Refuse to start beside an interrupted run of the same command that "auto" gave another network.

    The same command would otherwise train two networks, as where weights could be downloaded at one time only.

    `asked` are the options before `pinned`; settings and dataset are those that run.json would have.

    Raises:
        UsageError: There is such a run.
    """
    if "auto" not in (asked.architecture, asked.weights):
        return
    for run in runs.listing(root, command):
        same_data = all(run.dataset.get(name) == dataset.get(name) for name in ("fingerprint", "split"))
        if run.finished or not same_data or _others(run.settings) != _others(settings) or runs.in_use(run.folder):
            continue
        network = {name: run.settings.get(name) for name in _NETWORK}
        if network != {name: settings[name] for name in _NETWORK}:
            raise UsageError(
                f"the interrupted run {run.folder.name} trains {network['architecture']} ({network['weights']}), but "
                f"now this command would train {settings['architecture']} ({settings['weights']})",
                where=run.folder,
                hint=f"resume it with --arch {network['architecture']} --weights {network['weights']}, or start over "
                "with --overwrite",
            )


def _others(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _NETWORK}
