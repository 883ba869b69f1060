"""Write values as the YAML of a frontmatter: `write_header({"name": "a"})` is "name: a\\n"."""

from __future__ import annotations

from typing import Any

import yaml

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write_header(metadata: dict[str, Any], style: str | None = None) -> str:
    """The YAML of `metadata`, in key order, one line per value where YAML allows it, with a final newline.

    `style` is the quoting of its strings; by default each is quoted only if it must be.
    """
    dumped: str = yaml.dump(
        metadata,
        Dumper=_DUMPER,
        sort_keys=False,
        allow_unicode=True,
        width=2**30,
        default_flow_style=False,
        default_style=style,
    )
    return dumped
