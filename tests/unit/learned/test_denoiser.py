"""Guidance: away from what is found without a class, and nothing more than asked."""

from __future__ import annotations

import torch

from carpet_data.learned.ddpm_inpaint.denoiser import guided

UNKNOWN = 3


class Asked:
    """A network that answers each crop with its own values, its time and its label, and remembers how many it saw."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, values: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(values))
        return values + (1000 * times + labels).float()[:, None, None, None]


def test_without_guidance_the_network_is_asked_once_for_each_crop() -> None:
    network, values, labels = Asked(), torch.zeros(2, 1, 1, 1), torch.tensor([0, 2])
    found = guided(network, values, 7, labels, unknown=UNKNOWN, guidance=1)
    assert found.flatten().tolist() == [7000, 7002]
    assert network.sizes == [2]


def test_guidance_leads_away_from_no_class() -> None:
    network, values, labels = Asked(), torch.tensor([10.0, 20.0])[:, None, None, None], torch.tensor([0, 2])
    found = guided(network, values, 0, labels, unknown=UNKNOWN, guidance=3)
    # Without a class 13 and 23; the classes lie 3 and 1 below.
    assert found.flatten().tolist() == [13 - 3 * 3, 23 - 3 * 1]
    assert network.sizes == [4]
