"""Injected faults, with how many of them left what the commands had reported.

    python -m tests.benchmarks.faults [--only errors,kills] [--count 50] [--seed 1] [--json]

Each module of this package that has `measure` is a kind of fault. Needs strace for errors, and root for a full disk; what
cannot be tried is named with the reason. The exit code is 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.benchmarks.faults.row import Row

SHOWN = 10
"""The most lines of what broke, for each row."""


def kinds() -> dict[str, Callable[[int, int], list[Row]]]:
    """The measurements by their module's name."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith("__"):
            measure = getattr(importlib.import_module(f"{__package__}.{module.name}"), "measure", None)
            if measure is not None:
                found[module.name] = measure
    return found


def main() -> int:
    known = kinds()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="KIND,…", help=f"some of: {', '.join(known)}")
    parser.add_argument(
        "--count", type=int, default=50, help="how often each fault is tried (50); 0: every one, of errors"
    )
    parser.add_argument("--seed", type=int, default=1, help="what the drawn faults depend on (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(known)
    if unknown := set(wanted) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    rows: list[Row] = []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += known[name](options.count, options.seed)
    if options.json:
        print(json.dumps({"faults": msgspec.to_builtins(rows)}))
    else:
        print(table(rows))
    return int(any(row.broken for row in rows))


def table(rows: list[Row]) -> str:
    lines = [f"{'fault':<44}{'tried':>8}{'held':>8}"]
    for row in rows:
        counts = f"{row.tried:>8,}{row.held:>8,}" if row.tried else f"  {row.unmeasured or 'nothing was tried'}"
        lines.append(f"{row.fault:<44}{counts}")
        lines += [f"    {line}" for line in row.broken[:SHOWN]]
        if len(row.broken) > SHOWN:
            lines.append(f"    and {len(row.broken) - SHOWN} more")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
