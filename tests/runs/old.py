"""Run directories of schema versions 1 and 2, packed without weights, for the tests of the migration.

    run = unpack("curate", tmp_path)        # a folder with schema version 1

`train.tar.xz`: two steps of the pocket profile (1 group, 2 rollouts, 2 tasks, 2 held-out groups). Its edits are approved
(e1), vetoed and open again (e2), and undecided (e3, e4).
`curate.tar.xz`: three tasks. Its edits are amended (e1), conflicted (e2), vetoed (e3), approved (e4), undone (e5),
superseded (e6), and e7 was being approved when its process died.
`train-2.tar.xz`: of schema version 2, two steps as in `train.tar.xz`. Its edits are approved (e1), vetoed (e2), undone (e3),
and e4 was being approved when its process died.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

PACKED = Path(__file__).parent / "old_runs"


def unpack(name: str, folder: Path) -> Path:
    """The old run `name`, unpacked into `folder`."""
    with tarfile.open(PACKED / f"{name}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / name
