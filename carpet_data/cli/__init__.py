"""The command line: parse, call one verb, print."""

from carpet_data.cli.app import app, main

__all__ = ["app", "main"]
