"""Run a module as `python -m` does, and end when the process that started it has ended, even by SIGKILL.

python -m engine.models.catalogue.follower PARENT MODULE ARGUMENT …
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time

SECONDS = 0.5
"""How often it is asked whether the parent is still there."""


def main() -> None:
    parent, module = int(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
