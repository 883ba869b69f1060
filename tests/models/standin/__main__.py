"""The stand-in as a process of its own: prints its address as the first line, and serves until it is stopped.

python -m tests.models.standin --port 8000 --seconds-a-token 0.01 --max-running 32
"""

import argparse
import signal

from tests.models.standin.server import StandIn


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.models.standin", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="base")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--key", default="")
    parser.add_argument("--seconds-a-token", type=float, default=0.0)
    parser.add_argument("--max-running", type=int, default=256)
    parser.add_argument("--text", help="what every chat is answered with")
    given = parser.parse_args()
    options = {name: value for name, value in vars(given).items() if name != "text"}
    with StandIn(**options) as server:
        if given.text is not None:
            server.answer = lambda asked: given.text
        print(server.url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
