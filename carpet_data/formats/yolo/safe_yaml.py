"""YAML in which a key is there once, and aliases do not multiply what the file holds."""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["load"]

_MOST_ALIASES = 20


def load(text: str) -> Any:
    """The content of a YAML text.

    YAML forbids equal keys in one mapping, but PyYAML keeps the last, so that other names of classes would win in
    silence. A few lines of aliases to aliases stand for more values than memory can hold once they are shown or
    compared.

    Raises:
        yaml.YAMLError: It is not YAML, a key is there twice, or it has many aliases of lists or mappings.

    Examples:
        >>> load("names: [hole, cut]")
        {'names': ['hole', 'cut']}
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (it is a SafeLoader)


class _Loader(yaml.SafeLoader):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark if is_alias else None  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        if is_alias and isinstance(node, yaml.CollectionNode):
            self._aliases += 1
            if self._aliases > _MOST_ALIASES:
                raise yaml.composer.ComposerError(None, None, "too many aliases of lists or mappings", mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                what = f"the key {key.value[:60]} is there twice, and only one of the two would be read"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add((key.tag, key.value))
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return made
