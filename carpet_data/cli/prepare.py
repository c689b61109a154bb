"""`carpet-data prepare`, `split`, `groups` and `drop`: the commands that make and change a prepared data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.options import options, take
from carpet_data.formats import ReadOptions
from carpet_data.preparation.options import GroupOptions, SplitOptions

_FRACTIONS = "--fractions"
_NUMBER = re.compile(r"[-+]?(?:[0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?|[0-9]+\.|nan|inf(?:inity)?)", re.IGNORECASE)
"""What float() takes, also where it makes no sense: the check of fractions says so better than click could."""
_MOST = 3

dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done and write nothing.")


class SplittingCommand(click.Command):
    """A command whose --fractions takes two or three numbers, which click itself has no option for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give click one --fractions for each number behind it."""
        given: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if word == "--":
                given += [word, *rest]
                break
            name, equals, text = word.partition("=")
            numbers = [part for part in re.split(r"[,\s]+", text) if part]
            if name == _FRACTIONS and not equals:
                while rest and len(numbers) < _MOST and _NUMBER.fullmatch(rest[0].rstrip(",")):
                    numbers.append(rest.pop(0).rstrip(","))
                if not numbers and rest:
                    numbers = [part for part in re.split(r"[,\s]+", rest.pop(0)) if part]
            given += [f"{_FRACTIONS}={number}" for number in numbers] if name == _FRACTIONS and numbers else [word]
        return super().parse_args(ctx, given)


@click.command(cls=SplittingCommand)
@common.root_argument()
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder to write.  [default: ROOT-prepared, beside ROOT]"
)
@options(SplitOptions)
@options(GroupOptions)
@options(ReadOptions)
@click.option(
    "--keep-unmasked",
    is_flag=True,
    help="Keep defect images without a mask where others have one, for classification, instead of failing.",
)
@dry_run_option
@common.overwrite_option
@common.workers_option
@common.json_option
@common.quiet_option
def prepare(root: Path | None, out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Check, group and split the images of ROOT, and write a prepared data set.

    Real images keep their bytes; masks become exact PNGs. Images that show the same thing, and groups that you define,
    are never split across train and test. ROOT is only read.

    \b
    Example:
      carpet-data prepare mvtec/carpet -o carpet-prepared --per-class 17 --fractions 0.8 0.2
      carpet-data prepare mtd --group-runs 'num_(\\d+)' --gap 100
      carpet-data prepare mvtec/carpet --k-fold 5 --dry-run
    """
    from carpet_data.preparation.prepare import prepare as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    split_options, group_options = take(SplitOptions, values), take(GroupOptions, values)
    values["read_options"] = take(ReadOptions, values)
    with ui.progress("preparing") as progress:
        result = run(common.resolve_root(root), out, split_options, group_options, progress=progress, **values)
    ui.result(result.to_json(), result.text())


@click.command(cls=SplittingCommand)
@common.root_argument("dataset")
@click.option("--name", required=True, help="Name of the split; of several the stem, numbered from 0.")
@options(SplitOptions)
@dry_run_option
@common.overwrite_option
@common.json_option
@common.quiet_option
def split(dataset: Path | None, name: str, as_json: bool, quiet: bool, **values: Any) -> None:
    """Add one or more named splits to the prepared data set DATASET.

    The groups of DATASET stay whole in every split.

    \b
    Example:
      carpet-data split carpet-prepared --name val --fractions 0.6 0.2 0.2
      carpet-data split carpet-prepared --name repeat --repeats 10 --seed 1
      carpet-data split carpet-prepared --name shot --k-shot 1
      carpet-data split carpet-prepared --name rotation --protocol rotations
    """
    from carpet_data.preparation.split import split as run

    result = run(common.resolve_root(dataset), name, take(SplitOptions, values), **values)
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())


@click.command()
@common.root_argument("dataset")
@common.json_option
@common.quiet_option
def groups(dataset: Path | None, as_json: bool, quiet: bool) -> None:
    """Show which images of the prepared data set DATASET were grouped, and why.

    Images of one group are on one side of every split. Groups of a single image are only counted.

    \b
    Example:
      carpet-data groups carpet-prepared
      carpet-data groups carpet-prepared --json
    """
    from carpet_data.preparation.groups import groups as run

    result = run(common.resolve_root(dataset))
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())


@click.command(short_help="Remove samples from a prepared data set; their files stay.")
@common.root_argument("dataset")
@click.option(
    "--where",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE",
    help="Condition such as class=hole; repeat to combine with AND. Also !=, <, <=, >, >=; wildcards * and ?.",
)
@click.option("--reason", default="", help="Reason stored with the dropped samples.  [default: the conditions]")
@click.option("--dry-run", is_flag=True, help="Show which samples would be dropped and write nothing.")
@common.json_option
@common.quiet_option
def drop(dataset: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Drop samples of the prepared data set DATASET by what its manifest records about them.

    Nothing is deleted: dropped samples stay in the manifest and their files stay, but no command reads them any more.
    Fields: id, class, origin, source, group, width, height, and of synthetic samples method, recipe, split, seed, k,
    host, donors, plate, plate_from, model, null, gates.NAME, parameters.NAME.

    \b
    Example:
      carpet-data drop carpet-prepared --where origin=synthetic --where class=hole
      carpet-data drop carpet-prepared --where 'gates.visible<0.8' --reason "hardly visible"
      carpet-data drop carpet-prepared --where 'donors=hole-003' --dry-run
    """
    from carpet_data.preparation.drop import drop as run

    result = run(common.resolve_root(dataset), **values)
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())
