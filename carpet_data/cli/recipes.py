"""`carpet-data recipes`."""

from __future__ import annotations

import click

from carpet_data.cli import common


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
