"""`carpet-data synthesize`, `rebalance` and `recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.options import options, take
from carpet_data.synthesis.engine.options import SynthesisOptions


@click.command()
@common.root_argument()
@click.option("--class", "class_names", multiple=True, required=True, metavar="CLASS", help="Defect class. Repeatable.")
@click.option(
    "--n", type=int, required=True, help="Total number of images of each class by this recipe, split and seed."
)
@options(SynthesisOptions)
@common.workers_option
@common.json_option
@common.quiet_option
def synthesize(
    root: Path | None, class_names: tuple[str, ...], n: int, as_json: bool, quiet: bool, **values: Any
) -> int:
    """Add synthetic images of defect classes to ROOT, each with an exact mask and a record of where it came from.

    They join the train side of a split, and are made from its training images only. Running the command again adds
    nothing; a larger --n adds only the difference; an interrupted run resumes. If ROOT is a raw data set, it is
    prepared first, in a folder beside it. A contact sheet of each class is written under ROOT/previews.

    A class that fails does not cost the others: what passed is kept, the class is named with a recipe that works for it
    (tried on one image), and the exit code is 1.

    \b
    Example, inside a data folder:
      carpet-data synthesize --class hole --n 200
      carpet-data synthesize carpet-prepared --class hole --class cut --n 50 --recipe procedural
      carpet-data synthesize carpet-prepared --class thread --n 20 --recipe my-thread.yaml --seed 7 --dry-run
    """
    from carpet_data.synthesis.engine.synthesize import synthesize as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    chosen = take(SynthesisOptions, values)
    with ui.progress("synthesizing") as progress:
        result = run(common.resolve_root(root), class_names, n, chosen, progress=progress)
    ui.result(result.to_json(), result.text())
    return result.exit_code


@click.command()
@common.root_argument("dataset")
@click.option(
    "--to",
    required=True,
    metavar="N|max|RATIO",
    help="Minimum number of training images of each defect class: a number; max, as many as the largest class has; or "
    "a share of that, such as 0.5 or 50%.",
)
@options(SynthesisOptions)
@common.workers_option
@common.json_option
@common.quiet_option
def rebalance(dataset: Path | None, to: str, as_json: bool, quiet: bool, **values: Any) -> int:
    """Add synthetic images until every defect class of DATASET has at least --to training images.

    Existing synthetic images count, so running it again adds nothing. Classes that have more are left as they are. A
    class that fails does not cost the others, as with synthesize; the exit code is 1 then.

    \b
    Example:
      carpet-data rebalance carpet-prepared --to max
      carpet-data rebalance carpet-prepared --to 100 --recipe procedural
      carpet-data rebalance carpet-prepared --to 0.5 --dry-run
    """
    from carpet_data.synthesis.engine.rebalance import rebalance as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    chosen = take(SynthesisOptions, values)
    with ui.progress("synthesizing") as progress:
        result = run(common.resolve_root(dataset), to, chosen, progress=progress)
    ui.result(result.to_json(), result.text())
    return result.exit_code


@click.group()
def recipes() -> None:
    """List the shipped recipes, show one, or validate your own.

    \b
    Example:
      carpet-data recipes list
      carpet-data recipes show donor-paste > mine.yaml
      carpet-data recipes check mine.yaml
    """


@recipes.command("list")
@common.json_option
@common.quiet_option
def list_command(as_json: bool, quiet: bool) -> None:
    """List the shipped recipes: name, hash, summary; learned ones are marked.

    \b
    Example:
      carpet-data recipes list
    """
    from carpet_data.synthesis.recipe.listing import list_recipes

    result = list_recipes()
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())


@recipes.command()
@click.argument("name", metavar="NAME|FILE")
@common.json_option
@common.quiet_option
def show(name: str, as_json: bool, quiet: bool) -> None:
    """Print a recipe file, comments included; --json prints it with every default filled in.

    \b
    Example:
      carpet-data recipes show donor-paste
    """
    from carpet_data.synthesis.recipe.listing import check_recipes, needs_fit, show_recipe

    ui = common.Ui(as_json=as_json, quiet=quiet)
    ui.result(check_recipes([name]).to_json() if as_json else {}, show_recipe(name).rstrip("\n"))
    if needs_fit(name):
        ui.note(f"this recipe is learned: run carpet-data fit DATASET --recipe {name} before using it")


@recipes.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|FILE …")
@common.json_option
@common.quiet_option
def check(names: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Validate recipes; every problem is listed with its file, line and field.

    \b
    Example:
      carpet-data recipes check mine.yaml
    """
    from carpet_data.synthesis.recipe.listing import check_recipes

    result = check_recipes(names)
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), f"{result.text()}\nvalid")
