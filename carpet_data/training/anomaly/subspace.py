"""PCA of the cells of good images: what their subspace cannot express is abnormal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from carpet_data.training.anomaly.cells import F16, Scored, as_cells, smooth, standard, top_share

__all__ = ["Subspace"]

_EXPLAINED = 0.99
_TOP = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """The subspace that holds 99 % of the variance of good cells (SubspaceAD, Lendering et al., 2026).

    The anomaly of a cell is the length of its residual, that of an image the mean of its top percent of cells. Nothing
    depends on where a cell lies.

    Attributes:
        mean, deviation: float32 (c,), by which features are standardized.
        axes: float32 (c, k), orthonormal.
    """

    mean: torch.Tensor
    deviation: torch.Tensor
    axes: torch.Tensor

    @classmethod
    def fit(cls, maps: Sequence[F16]) -> Subspace:
        """Fit to the maps of good images, each float16 (c, rows, columns)."""
        mean, deviation = standard(maps)
        count, moment = 0, torch.zeros(len(mean), len(mean), dtype=torch.float64)
        for values in maps:
            cells = ((as_cells(values) - mean) / deviation).double()
            moment += cells.T @ cells
            count += len(cells)
        variances, vectors = torch.linalg.eigh(moment / count)
        variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1)
        explained = variances.cumsum(0) / variances.sum().clamp(min=1e-12)
        kept = min(int((explained < _EXPLAINED).sum()) + 1, len(mean) - 1)
        return cls(mean, deviation, vectors[:, :kept].float().contiguous())

    @classmethod
    def restore(cls, state: Mapping[str, torch.Tensor]) -> Subspace:
        """The model of a state."""
        return cls(state["mean"], state["deviation"], state["axes"])

    def state(self) -> dict[str, torch.Tensor]:
        """See `CellModel`."""
        return {"mean": self.mean, "deviation": self.deviation, "axes": self.axes}

    def score(self, values: F16) -> Scored:
        """See `CellModel`."""
        cells = (as_cells(values) - self.mean) / self.deviation
        residual = cells - (cells @ self.axes) @ self.axes.T
        found = residual.norm(dim=1).numpy().reshape(values.shape[1:])
        return smooth(found), top_share(found, _TOP)
