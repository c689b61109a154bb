"""Make n images of a class: request, plan, candidates, scene, render, checks, writing, rebalancing."""
