"""A small network: three strided convolutions, then the mean of the last map."""

from __future__ import annotations

from torch import nn

from carpet_data.networks import Input


def patchnet() -> nn.Module:
    maps = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=4, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
    )
    body = nn.Sequential()
    body.add_module("maps", maps)
    body.add_module("pool", nn.AdaptiveAvgPool2d(1))
    body.carpet_data = Input(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), smallest=16, last_map="maps")
    return body
