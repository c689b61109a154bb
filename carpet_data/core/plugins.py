"""Registries: plug-ins by name, imported when used; other packages add to them by entry points."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from carpet_data.errors import CarpetDataError, UsageError, nearest

__all__ = ["Registry"]


class Registry:
    """Names of one kind of plug-in, each with its place ("module:attribute") and one line on what it does.

    Names that come with this package are known at once. The entry points of others are looked at only when a name is
    not among them, or when all are listed: a command pays for a scan of the installed packages only where it must.

    Args:
        kind: Such as "method"; used in messages.
        group: The entry-point group, such as "carpet_data.methods".
        builtin: name -> ("module:attribute", summary).

    Examples:
        >>> networks = Registry("network", "carpet_data.networks", {"zero": ("builtins:int", "always 0")})
        >>> networks.load("zero")
        <class 'int'>
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, tuple[str, str]]) -> None:
        self.kind = kind
        self.group = group
        self.builtin = dict(builtin)

    @cached_property
    def added(self) -> dict[str, str]:
        """name -> "module:attribute" of what other packages provide.

        Raises:
            CarpetDataError: Two packages provide the same name.
        """
        found: dict[str, str] = {}
        for point in entry_points(group=self.group):
            if point.name in self.builtin or point.name in found:
                raise CarpetDataError(
                    f"two packages provide a {self.kind} named {point.name!r}",
                    where=point.value,
                    hint="uninstall one of them",
                )
            found[point.name] = point.value
        return found

    def names(self) -> tuple[str, ...]:
        """All names, those of this package first."""
        return (*self.builtin, *self.added)

    def target(self, name: str) -> str:
        """The place of a name, as "module:attribute".

        Raises:
            UsageError: The name is unknown; the nearest is offered.
            CarpetDataError: Two packages provide the same name.
        """
        if name in self.builtin:
            return self.builtin[name][0]
        if name in self.added:
            return self.added[name]
        known = self.names()
        raise UsageError(f"unknown {self.kind} {name!r}", hint=f"{nearest(name, known)}use one of: {', '.join(known)}")

    def load(self, name: str) -> Any:
        """The object of a name.

        Raises:
            UsageError: The name is unknown.
            CarpetDataError: Its package cannot be imported.
        """
        return self.load_target(self.target(name))

    def load_target(self, where: str) -> Any:
        """The object at "module:attribute".

        Raises:
            CarpetDataError: It cannot be imported.
        """
        module, _, attribute = where.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except CarpetDataError:
            raise  # such as an extra that is not installed
        except Exception as error:  # a package of others may fail in any way while it is imported
            raise CarpetDataError(
                f"the {self.kind} cannot be loaded ({type(error).__name__}: {error})",
                where=where,
                hint="install or fix the package that provides it",
            ) from error
