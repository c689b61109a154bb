"""The version of carpet-data, in one place."""

__version__ = "0.1.0"
