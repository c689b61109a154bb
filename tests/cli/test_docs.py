"""README and docs tell the truth: every command in them runs, and prints what they show.

A block marked ```console holds commands ("$ …") and what they print; "…" stands for any text, on a line of its own for
any lines. A block marked ```python runs as it stands. Both run in a folder that holds the sample data set as `carpet`,
`carpet-prepared` and `carpet.tar.xz`; `tiles`, a folder with running numbers; `scans`, images with masks beside them.
Commands that need the internet, a window or minutes follow the comment <!-- not run: … --> and are left out; so is the
source of a test, which follows <!-- tests/… -->.
A command of QUICK gets the options beside it, so that a page can show the command a user needs. A plain command of
carpet-data is called in this process, which has the heavy modules loaded already; all else is a process of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.command import Called

from carpet_data.preparation.prepare import prepare
from carpet_data.weave.sample import sample

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").glob("*.md")])
PLAIN = re.compile(r"""carpet-data (?P<arguments>[^|<>&;$`()*?!~#\n]+?)(?: > (?P<file>[\w.-]+))?""")
"""A command without anything that only a shell understands; what it prints may go to a file."""
QUICK = {
    r"carpet-data validate [\w-]+": "--resize 64 --steps 100 --seeds 2 "
    "--dense-steps 50 --dense-views 1 --dense-scale 1",
    r"carpet-data train [\w-]+ --task dense( -o \w+)?": "--steps 50 --views 1 --scale 1",
}
BLOCK = re.compile(
    r"^(?P<skip><!-- (?:not run: [^>]+|tests/\S+ )-->\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    kind: str
    body: str
    skipped: bool


def blocks(page: Path) -> Iterator[Block]:
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(match["kind"], match["body"], match["skip"] is not None)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages name."""
    place = tmp_path_factory.mktemp("docs")
    sample(place / "carpet", size=128, workers=1)
    prepare(place / "carpet", place / "carpet-prepared", workers=1)
    with tarfile.open(place / "carpet.tar.xz", "w:xz") as archive:
        archive.add(place / "carpet", "carpet")
    rng = np.random.default_rng(1)
    for side, class_name, first in (("train", "good", 1000), ("test", "crack", 9000)):
        (place / "tiles" / side / class_name).mkdir(parents=True)
        (place / "tiles" / "ground_truth" / class_name).mkdir(parents=True)
        for number in range(12):
            name = f"exp1_num_{first + 40 * (number % 3) + 500 * (number // 3)}"
            pixels = rng.integers(0, 255, (64, 64), dtype=np.uint8)
            cv2.imwrite(str(place / "tiles" / side / class_name / f"{name}.png"), pixels)
            if class_name != "good":
                mask = np.zeros((64, 64), np.uint8)
                mask[20:30, 20 + number : 40] = 255
                cv2.imwrite(str(place / "tiles" / "ground_truth" / class_name / f"{name}_mask.png"), mask)
    (place / "tiles" / "ground_truth" / "good").rmdir()
    (place / "scans").mkdir()
    for number in range(4):
        cv2.imwrite(str(place / "scans" / f"{number}.png"), rng.integers(0, 255, (64, 64), dtype=np.uint8))
        cv2.imwrite(str(place / "scans" / f"{number}_defect.png"), np.eye(64, dtype=np.uint8) * 255)
    return place


def pattern(shown: str) -> re.Pattern[str]:
    """What is shown as a pattern of what may be printed."""
    parts = []
    for line in shown.splitlines():
        escaped = re.sub(r" +", " ", re.escape(line.strip()).replace(r"\ ", " "))
        parts.append(r"(?:.*\n)*?" if line.strip() == "…" else escaped.replace("…", ".*") + r"\n")
    return re.compile("".join(parts))


def commands(body: str) -> Iterator[tuple[str, str]]:
    """(command, what it is shown to print) of a console block."""
    pieces = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert pieces[0].strip() == "", f"a console block begins with a command: {body}"
    for piece in pieces[1:]:
        command, _, shown = piece.partition("\n")
        yield command.split("  #")[0].strip(), shown


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda page: page.name)
def test_a_page_runs(
    page: Path, prepared: Path, tmp_path: Path, run: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    shutil.copytree(prepared, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "120")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",  # other tests run beside this one, and threads that wait for a core spin
    }
    for block in blocks(page):
        if block.skipped:
            continue
        if block.kind == "console":
            for command, shown in commands(block.body):
                if command.startswith("make "):
                    continue  # `make demo` and `make test` are what CI runs
                command = " ".join([command, *(more for like, more in QUICK.items() if re.fullmatch(like, command))])
                plain = PLAIN.fullmatch(command)
                if plain is not None:
                    called = run(*shlex.split(plain["arguments"]))
                    code, out, err = called.code, called.out, called.err
                    if plain["file"]:
                        (place / plain["file"]).write_text(out, encoding="utf-8")
                        out = ""
                else:
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True, timeout=200
                    )
                    code, out, err = done.returncode, done.stdout, done.stderr
                assert code == 0, f"{page.name}: {command}\n{out}\n{err}"
                if shown.strip():
                    printed = "\n".join(re.sub(r" +", " ", line.strip()) for line in out.splitlines()) + "\n"
                    assert pattern(shown).fullmatch(printed), (
                        f"{page.name}: {command}\nprinted:\n{printed}\nshown:\n{shown}"
                    )
        elif block.kind == "python":
            script = place / "example.py"
            guarded = "\n".join("    " + line for line in block.body.splitlines())
            script.write_text(f"if __name__ == '__main__':\n{guarded}\n", encoding="utf-8")
            done = subprocess.run(
                [sys.executable, str(script)], cwd=place, env=environment, capture_output=True, text=True, timeout=200
            )
            assert done.returncode == 0, f"{page.name}:\n{block.body}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_every_command_outside_a_console_block_is_seen() -> None:
    """A command in a block without a mark would escape this test."""
    for page in PAGES:
        for block in blocks(page) if page.exists() else ():
            if block.kind not in ("console", "python", "yaml", "text", "json"):
                assert "carpet-data " not in block.body, f"{page.name}: mark this block as console:\n{block.body}"


def test_only_plain_commands_run_in_this_process() -> None:
    for command in (
        "carpet-data stats x | head",
        "carpet-data stats $HOME",
        "A=1 carpet-data stats",
        "carpet-data a; b",
    ):
        assert not PLAIN.fullmatch(command)
    plain = PLAIN.fullmatch("carpet-data stats 'a b' --json > stats.json")
    assert plain is not None
    assert plain.groups() == ("stats 'a b' --json", "stats.json")


def test_the_patterns_can_fail() -> None:
    assert pattern("a … c\n…\nlast\n").fullmatch("a b c\nx\ny\nlast\n")
    assert not pattern("a … c\n").fullmatch("a b d\n")
    assert not pattern("a\n").fullmatch("a\nb\n")
    assert list(commands("$ one\nout\n$ two  # remark\n")) == [("one", "out\n"), ("two", "")]


def test_examples_are_the_files_that_they_name() -> None:
    """A block behind `<!-- tests/… -->` shows that file, which other tests run."""
    shown = re.compile(r"^<!-- (tests/\S+) -->\n```\w+\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    found = [match for page in PAGES for match in shown.finditer(page.read_text(encoding="utf-8"))]
    assert found
    for path, body in (match.groups() for match in found):
        assert body == (PROJECT / path).read_text(encoding="utf-8"), f"the docs show another {path}"
