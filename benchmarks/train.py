"""How fast is training? One run, one machine, everything side by side.

    python benchmarks/train.py [--size 1024] [--measured 3] [--skip sweep|finetune]

1. `carpet-data sweep --table homework`, the whole command, on 102 images (six classes of 17) of the sample data set,
   against the loop most people write: ImageFolder, Resize, DataLoader, and each epoch a full forward pass and a
   backward pass through the head, the backbone frozen. A few epochs of the plain loop are measured for each network and
   size, and multiplied by the epochs of the row; its passes over the held-out images are left out, in its favour.
   ImageNet weights change no times, so random ones stand in where torch.hub would have put them.
2. The first row in full both ways, on the same pixels in the same order: the metrics must agree.
3. Full fine-tuning by `carpet_data.training`, against the bare forward pass, backward pass and step of the same network
   on tensors that are in memory. On a GPU also in bfloat16, and what torch.compile would add.

Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from carpet_data import networks, store
from carpet_data.experiments import sweep_table
from carpet_data.networks import devices
from carpet_data.training import tables
from carpet_data.training.finetune import fit_network
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import batches, order
from carpet_data.training.tables import ImageTable

THREADS = 2
BATCH = 32
RATE = 0.001
PUBLISHED = (("resnet18", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V2"))
CLASSES = ("good", "color", "cut", "hole", "metal_contamination", "thread")


def command(*arguments: object, **environment: str) -> float:
    """Seconds of one call of carpet-data, start included."""
    program = [sys.executable, "-m", "carpet_data", *map(str, arguments), "-q"]
    begun = time.perf_counter()
    subprocess.run(program, check=True, env={**os.environ, "OMP_NUM_THREADS": str(THREADS), **environment})
    return time.perf_counter() - begun


def stand_ins(home: Path) -> None:
    """Random weights under the names of torchvision's."""
    (home / "hub" / "checkpoints").mkdir(parents=True)
    for number, (name, which) in enumerate(PUBLISHED):
        torch.manual_seed(number)
        url = torchvision.models.get_model_weights(name)[which].url
        state = torchvision.models.get_model(name, weights=None).state_dict()
        torch.save(state, home / "hub" / "checkpoints" / url.rpartition("/")[2])


def data(scratch: Path, size: int) -> Path:
    """The prepared data set."""
    counts = [f"{name}={17}" for name in CLASSES] + ["test-good=0"]
    command("sample", scratch / "carpet", "--size", size, *(word for each in counts for word in ("--count", each)))
    command("prepare", scratch / "carpet", "-o", scratch / "set", "--fractions", 0.8, 0.2)
    command("to-folder", scratch / "set", "-o", scratch / "folder")
    return scratch / "set"


def frozen(name: str) -> nn.Module:
    """The plain loop's network: everything frozen but a new last layer."""
    network = torchvision.models.get_model(name, weights=None)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    network.fc = nn.Linear(network.fc.in_features, len(CLASSES))
    return network


def plain_epoch_seconds(folder: Path, name: str, size: int, epochs: int) -> float:
    """Seconds an epoch of the loop most people write, after one to warm up."""
    transforms = torchvision.transforms
    steps = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    images = torchvision.datasets.ImageFolder(str(folder), transforms.Compose(steps))
    loader = DataLoader(images, BATCH, shuffle=True, num_workers=THREADS, persistent_workers=True)
    network = frozen(name).eval()
    optimizer = torch.optim.Adam(network.fc.parameters(), lr=RATE)
    begun = 0.0
    for epoch in range(epochs + 1):
        if epoch == 1:
            begun = time.perf_counter()
        for x, y in loader:
            loss = functional.cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return (time.perf_counter() - begun) / epochs


def sweep_against_plain(scratch: Path, root: Path, measured: int) -> Path:
    """Prints the table; returns the run folder of the sweep."""
    run = scratch / "run"
    home = str(scratch / "torch")
    swept = command("sweep", root, "--table", "homework", "-o", run, "--fallback", "none", TORCH_HOME=home)
    found = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["rows"]
    known: dict[tuple[str, int], float] = {}
    total = 0.0
    print(
        f"### The homework's 13 rows\n\nPlain loop: {measured} epochs measured a network and size, times the epochs.\n"
    )
    print("| resize | epochs | model | plain loop: s an epoch | plain loop: s | sweep: s | ratio |\n|" + "---|" * 7)
    for row, result in zip(sweep_table.load("homework").rows, found, strict=True):
        s = row.settings
        key = (s.architecture, s.resize)
        if key not in known:
            known[key] = plain_epoch_seconds(scratch / "folder" / "train", *key, measured)
        plain, own = known[key] * s.epochs, result["trainings"][0]["seconds"]
        total += plain
        name = f"{s.resize} | {s.epochs} | {s.architecture}"
        print(f"| {name} | {known[key]:.2f} | {plain:.0f} | {own:.2f} | {plain / own:.0f} |")
    name = "| | **all, start and decoding included** |"
    print(f"| {name} | **{total:.0f}** | **{swept:.1f}** | **{total / swept:.0f}** |\n")
    return run


def in_full(scratch: Path, root: Path, run: Path) -> None:
    """The first row by a loop that decodes, passes forward and passes back in every epoch."""
    dataset = store.read(root)
    settings = sweep_table.load("homework").rows[0].settings
    os.environ["TORCH_HOME"] = str(scratch / "torch")
    weights = networks.find_weights(settings.architecture, settings.weights, download=False)
    network = networks.build(weights, classes=len(CLASSES), seed=settings.seed)
    network.freeze("backbone")
    samples = dataset.on_side("train", "main")
    labels = np.array([dataset.classes.index(sample.class_name) for sample in samples])
    optimizer = torch.optim.Adam(network.head.parameters(), lr=settings.learning_rate)
    begun = time.perf_counter()
    loss_sum, right = 0.0, 0
    for epoch in range(settings.epochs):
        loss_sum, right = 0.0, 0
        network.train()
        for rows in batches(order(labels, "instance", seed=settings.seed, epoch=epoch), settings.batch_size):
            chosen = [samples[row] for row in rows.tolist()]
            table = tables.load(dataset, chosen, dataset.classes, size=settings.resize, workers=1)
            truth = torch.from_numpy(table.labels)
            logits = network(network.prepare(table.pixels))
            loss = functional.cross_entropy(logits, truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += float(loss.detach()) * len(truth)
            right += int((logits.argmax(1) == truth).sum())
    seconds = time.perf_counter() - begun
    test = tables.load(dataset, dataset.on_side("test", "main"), dataset.classes, size=settings.resize, workers=1)
    network.eval()
    with torch.inference_mode():
        logits = network(network.prepare(test.pixels))
    truth = torch.from_numpy(test.labels)
    plain = {
        "train_loss": loss_sum / len(labels),
        "train_accuracy": right / len(labels),
        "test_loss": float(functional.cross_entropy(logits, truth)),
        "test_accuracy": float((logits.argmax(1) == truth).double().mean()),
    }
    swept = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["rows"][0]
    print("### Row 1 in full, the same pixels in the same order\n")
    print(f"| metric | loop, {seconds:.0f} s | sweep | difference |")
    print("|---|---|---|---|")
    for name, value in plain.items():
        print(f"| {name.replace('_', ' ')} | {value:.6f} | {swept[name]:.6f} | {abs(value - swept[name]):.1e} |")
        assert abs(value - swept[name]) < 1e-4, f"{name} differs"
    print()


def noise(count: int, size: int) -> ImageTable:
    ids = tuple(str(number) for number in range(count))
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = np.arange(count) % len(CLASSES)
    return ImageTable(ids, labels, CLASSES, pixels, None, ("real",) * count, ids)


def network_of(name: str, device: torch.device) -> networks.Network:
    weights = networks.find_weights(name, "none")
    return networks.build(weights, classes=len(CLASSES), seed=0).to(device)


def own_rate(name: str, table: ImageTable, device: torch.device, augment: str) -> Iterator[float]:
    """Images a second of each epoch after the first; for ever."""
    settings = TrainOptions(
        architecture=name, weights="none", resize=table.size, epochs=3, batch_size=BATCH, freeze="none", augment=augment
    )
    while True:
        done = fit_network(network_of(name, device), table, None, settings, device=device)
        yield max(len(table) / epoch.seconds for epoch in done.history[1:])


def bare_rate(name: str, table: ImageTable, device: torch.device, *, compiled: bool = False) -> Iterator[float]:
    """Images a second of forward pass, backward pass and step on tensors that lie on the device; for ever."""
    network = network_of(name, device).train()
    forward: Callable[[torch.Tensor], torch.Tensor] = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    pairs = [
        (network.prepare(table.pixels[rows]), torch.from_numpy(table.labels[rows]).to(device))
        for rows in batches(np.arange(len(table)), BATCH)
    ]
    while True:
        fastest = 0.0
        for _ in range(3):
            devices.synchronize(device)
            begun = time.perf_counter()
            for x, y in pairs:
                optimizer.zero_grad(set_to_none=True)
                with devices.amp(device):
                    logits = forward(x)
                loss = functional.cross_entropy(logits.float(), y)
                loss.backward()
                optimizer.step()
            devices.synchronize(device)
            fastest = max(fastest, len(table) / (time.perf_counter() - begun))
        yield fastest


def finetune(device: torch.device, sizes: tuple[int, ...], images: int, rounds: int) -> None:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"### Full fine-tuning of resnet18, batches of {BATCH}, {where}\n")
    print("| pixels | what | images/s | of the bare loop |\n|---|---|---|---|")
    for size in sizes:
        table = noise(images, size)
        ways = {
            "bare loop": bare_rate("resnet18", table, device),
            "fine-tuning": own_rate("resnet18", table, device, "none"),
            "fine-tuning, strong augmentation": own_rate("resnet18", table, device, "strong"),
        }
        if device.type == "cuda":
            ways["bare loop, compiled"] = bare_rate("resnet18", table, device, compiled=True)
        # In turns, the best of each: what else the machine does falls on all alike.
        rates: dict[str, float] = {}
        for _ in range(rounds):
            for name, rate in ways.items():
                rates[name] = max(rates.get(name, 0.0), next(rate))
        for name, rate_found in rates.items():
            print(f"| {size} | {name} | {rate_found:.1f} | {rate_found / rates['bare loop']:.2f} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="Pixels of the sample images.")
    parser.add_argument("--measured", type=int, default=3, help="Epochs of the plain loop a network and size.")
    parser.add_argument("--rounds", type=int, default=3, help="Of fine-tuning.")
    parser.add_argument("--skip", choices=["sweep", "finetune"], default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {THREADS} threads"
    print(f"Machine: {machine}, Python {platform.python_version()}, ")
    print(f"torch {torch.__version__}. Load when it began: {os.getloadavg()[0]:.1f}.\n")
    if arguments.skip != "sweep":
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            stand_ins(scratch / "torch")
            root = data(scratch, arguments.size)
            run = sweep_against_plain(scratch, root, arguments.measured)
            in_full(scratch, root, run)
    if arguments.skip != "finetune":
        finetune(torch.device("cpu"), (64, 128), 8 * BATCH, arguments.rounds)
        if torch.cuda.is_available():
            finetune(torch.device("cuda"), (64, 128, 224), 64 * BATCH, arguments.rounds)


if __name__ == "__main__":
    main()
