"""The group of commands, each imported only when it is called, and the one place where errors become exit codes."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import sys
from collections.abc import Sequence

import click

from carpet_data.cli.common import json_text
from carpet_data.errors import CarpetDataError, OutputError, UsageError
from carpet_data.version import __version__

# command -> (module:attribute, one-line summary). Grouped as a user meets them.
COMMANDS: dict[str, tuple[str, str]] = {
    "sample": ("carpet_data.cli.sample:sample", "Write a sample data set: procedural woven carpet with defects."),
    "fetch": ("carpet_data.cli.archives:fetch", "Download an MVTec AD archive, verify it and unpack it."),
    "unpack": ("carpet_data.cli.archives:unpack", "Unpack a local .tar.xz, .tar.gz or .zip safely."),
    "doctor": ("carpet_data.cli.doctor:doctor", "Check a data set and report every problem, and how to fix it."),
    "stats": ("carpet_data.cli.stats:stats", "Count classes, splits, instances and sizes."),
    "prepare": ("carpet_data.cli.prepare:prepare", "Group, split and write a prepared data set."),
    "split": ("carpet_data.cli.prepare:split", "Add a named split to a prepared data set."),
    "groups": ("carpet_data.cli.prepare:groups", "Show which images were grouped, and why."),
    "tile": ("carpet_data.cli.tile:tile", "Cut images, masks and instances into tiles."),
    "untile": ("carpet_data.cli.tile:untile", "Put tiles together again."),
    "fit": ("carpet_data.cli.fit:fit", "Train a learned recipe on the training images (once, before `synthesize`)."),
    "synthesize": ("carpet_data.cli.synthesis:synthesize", "Add synthetic images of rare defects."),
    "rebalance": (
        "carpet_data.cli.synthesis:rebalance",
        "Add synthetic images until every defect class has N training images.",
    ),
    "recipes": ("carpet_data.cli.synthesis:recipes", "List, show or validate synthesis recipes."),
    "preview": ("carpet_data.cli.preview:preview", "Draw a contact sheet: image, mask outline, defect enlarged."),
    "drop": ("carpet_data.cli.prepare:drop", "Remove samples from a prepared data set; their files stay."),
    "curate": ("carpet_data.cli.browse:curate", "Apply tags and label edits made in FiftyOne to a data set."),
    "browse": ("carpet_data.cli.browse:browse", "Browse a data set in the FiftyOne App."),
    "score": ("carpet_data.cli.score:score", "Score synthetic defects against real ones."),
    "report": (
        "carpet_data.cli.report:report",
        "Write a one-page HTML report of a data set, including the validation result.",
    ),
    "train": ("carpet_data.cli.train:train", "Train a classifier and score it on the test side."),
    "predict": ("carpet_data.cli.predict:predict", "Predict images with a trained model."),
    "export-model": ("carpet_data.cli.predict:export_model", "Export a trained model to ONNX, preprocessing inside."),
    "sweep": ("carpet_data.cli.sweep:sweep", "Train every configuration in a table and compare the results."),
    "validate": ("carpet_data.cli.validate:validate", "Test whether synthetic images improve a classifier."),
    "to-coco": ("carpet_data.cli.exports:to_coco", "Export COCO instances: exact boxes and segmentations."),
    "to-yolo": ("carpet_data.cli.exports:to_yolo", "Export YOLO labels: boxes or segments."),
    "to-voc": ("carpet_data.cli.exports:to_voc", "Export Pascal VOC XML boxes and segmentation masks."),
    "to-folder": ("carpet_data.cli.exports:to_folder", "Export one folder per class, as ImageFolder reads it."),
    "to-anomalib": ("carpet_data.cli.exports:to_anomalib", "Export a folder and a configuration for anomalib."),
    "to-mvtec": ("carpet_data.cli.exports:to_mvtec", "Export the MVTec AD layout."),
    "to-masks": ("carpet_data.cli.exports:to_masks", "Export images with class-index masks."),
    "export": ("carpet_data.cli.exports:export", "Export in any format, also in one that an installed package adds."),
    "check": ("carpet_data.cli.exports:check", "Check a COCO file, alone or pixel by pixel against its source."),
}


class LazyGroup(click.Group):
    """A click group whose commands are imported on use, so that `--help` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry[0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Offer the nearest command when one is mistyped."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="carpet-data")
def app() -> None:
    """Turn a folder of rare defect images into exact data sets.

    \b
    Example, inside an MVTec AD category folder:
      carpet-data doctor
      carpet-data prepare -o carpet-prepared
      carpet-data to-coco carpet-prepared -o carpet-coco
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 data error, 2 usage error, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped; it must not end a command whose work is done.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app.main(args=arguments, prog_name="carpet-data", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        if "--json" in arguments:
            context = getattr(error, "ctx", None)
            command = context.command_path if context is not None else "carpet-data"
            _show(UsageError(error.format_message(), hint=f"see {command} --help"), as_json=True)
        else:
            error.show()
        sys.exit(error.exit_code)
    except CarpetDataError as error:
        _show(error, as_json="--json" in arguments)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nobody is left to tell.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _show(_from_os(error), as_json="--json" in arguments)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _show(error: CarpetDataError, *, as_json: bool) -> None:
    if as_json:
        # Standard output may be the very thing that failed; then the text below is left.
        with contextlib.suppress(OSError):
            click.echo(json_text(error.to_json()))
            return
    click.echo(f"error: {error}", err=True)


_HINTS = {
    errno.ENOENT: "restore the file; carpet-data doctor lists all that are missing",
    errno.ENOSPC: "free some disk space and run the same command again",
    errno.EDQUOT: "free some of your disk quota and run the same command again",
    errno.EACCES: "check the permissions of this path",
    errno.EPERM: "check the permissions of this path",
    errno.EROFS: "choose an output on a writable file system",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _from_os(error: OSError) -> CarpetDataError:
    """An error of the operating system in the words of this tool."""
    what = error.strerror or str(error)
    return OutputError(what, where=error.filename, hint=_HINTS.get(error.errno or 0))
