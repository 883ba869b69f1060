"""A program in the place of vLLM's server: `python_of(tmp_path, "crash")` is a Python that runs it.

It takes vLLM's arguments and serves the stand-in. `how` is what else it does:

    serve               nothing
    pocket              answers by the pocket model
    child               has a child process that ignores SIGTERM, as an EngineCore may
    shares              has shared memory
    says TEXT           prints TEXT and exits with 1
    hang                never answers
    environment         prints its environment, and serves
"""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
IGNORES = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"


def python_of(folder, how="serve", text=""):
    """A Python, as the setting `model.python` names one, with a vllm that is this program."""
    script = folder / "python"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exit 0\n'
        f"PYTHONPATH='{REPOSITORY}' exec '{sys.executable}' -m tests.models.vllm.program '{how}' '{text}' \"$@\"\n"
    )
    script.chmod(0o755)
    return str(script)


def main():
    how, text, *words = sys.argv[1:]
    if how == "says":
        print(text, file=sys.stderr)
        sys.exit(1)
    if how == "hang":
        time.sleep(600)
    if how == "environment":
        print("\n".join(f"{name}={value}" for name, value in os.environ.items()), flush=True)
    if how == "child":
        child = subprocess.Popen([sys.executable, "-c", IGNORES])
        print(f"child {child.pid}", flush=True)
    if how == "shares":
        from multiprocessing.shared_memory import SharedMemory

        shared = SharedMemory(create=True, size=4096)
        print(f"shares {shared.name}", flush=True)
    given = dict(pairwise(words))
    options = {
        "port": int(given["--port"]),
        "model": given["--served-model-name"],
        "context": int(given["--max-model-len"]),
        "max_lora_rank": int(given.get("--max-lora-rank", 0)),
    }
    if how == "pocket":
        from tests.models.vllm.served import VllmStandIn as kind
    else:
        from tests.models.standin import StandIn as kind
    with kind(**options):
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
