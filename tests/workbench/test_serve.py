"""`skillos-tui serve`: who may use it, what it loads, what it passes on, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from skillos_tui.serve.environment import page_environment
from skillos_tui.serve.guard import Guard
from tests.workbench.reviewing import waiting_run
from tests.workbench.serving import COMMAND, Serving, eventually

PLANTED = {
    "OPENAI_API_KEY": "sk-planted",
    "HF_TOKEN": "hf_planted",
    "MY_DB": "postgres://u:planted@h",
    "HARMLESS": "planted",
}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server on a run with edits that wait, started with secrets in its environment."""
    folder = tmp_path_factory.mktemp("serve")
    run = waiting_run(folder / "run")
    with Serving(run.path, {**PLANTED, "XDG_STATE_HOME": str(folder / "state")}) as found:
        yield found


@asynccontextmanager
async def page(serving: Serving) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The websocket of a page, as the page itself opens it."""
    origin = f"http://127.0.0.1:{serving.port}"
    async with (
        aiohttp.ClientSession(origin, headers={"Origin": origin}) as session,
        session.ws_connect(f"/{serving.token}/ws?width=100&height=30") as opened,
    ):
        yield opened


async def shown(opened: aiohttp.ClientWebSocketResponse, wanted: str) -> None:
    """Read until the workbench has painted the text."""
    painted = ""
    try:
        async with asyncio.timeout(20):
            while wanted not in painted:
                message = await opened.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, (message, painted[-300:])
                painted += re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", message.data.decode())
    except TimeoutError:
        pytest.fail(f"waited for {wanted!r}; painted was {painted[-2000:]!r}")


# Who may use it


@pytest.mark.parametrize(
    "path", ["/", "/{wrong}/", "/{wrong}/ws", "/{wrong}/static/js/textual.js", "/ws", "/{short}/", "//"]
)
def test_without_the_token_everything_is_refused(serving: Serving, path: str) -> None:
    wrong = path.format(wrong="x" * len(serving.token), short=serving.token[:-1])
    answer = serving.get(wrong, whole=True)
    assert answer.status == 403 and serving.token not in answer.text and answer.text.count("\n") == 1


@pytest.mark.parametrize("path", ["", "ws", "static/js/textual.js"])
@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_a_name_of_another_site_that_leads_here_is_refused(serving: Serving, path: str, host: str) -> None:
    assert serving.get(path, {"Host": host.format(port=serving.port)}).status == 403


@pytest.mark.parametrize("path", ["", "ws"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://localhost:{port}"]
)
def test_a_request_of_another_site_is_refused(serving: Serving, path: str, origin: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    answer = serving.get(path, {"Origin": origin.format(port=serving.port), **(upgrade if path else {})})
    assert answer.status == 403 and "another site" in answer.text


def test_the_address_works_under_both_names_of_this_machine(serving: Serving) -> None:
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{serving.port}"
        answer = serving.get("", {"Host": host, "Origin": f"http://{host}"})
        assert answer.status == 200 and f"ws://{host}/{serving.token}/ws" in answer.text
    assert serving.get(f"/{serving.token}", whole=True).headers["Location"] == f"/{serving.token}/"
    assert serving.get("ws").status == 400
    assert serving.get("static/").status == serving.get("page/../process.py").status - 1 == 403


def test_a_browser_does_not_name_the_port_of_http() -> None:
    guard = Guard("token", 80)

    def refusal(**headers: str) -> str:
        return guard.refusal("/token/", CIMultiDictProxy(CIMultiDict(headers)))

    assert refusal(Host="127.0.0.1", Origin="http://127.0.0.1") == "" == refusal(Host="localhost")
    assert "open the workbench at" in refusal(Host="evil.example") and "another site" in refusal(
        Host="127.0.0.1", Origin="http://127.0.0.1:8080"
    )


def test_it_listens_on_loopback_only(serving: Serving) -> None:
    found = {each.laddr.ip for each in psutil.Process(serving.process.pid).net_connections() if each.status == "LISTEN"}
    assert found == {"127.0.0.1"}


# What it loads and passes on


def test_all_that_the_page_loads_is_here(serving: Serving) -> None:
    html = serving.get("").text
    paths = re.findall(r'(?:href|src)="(?!data:|\./)([^"]+)"', html)
    sheet = serving.get("page/page.css").text
    paths += [f"page/{path}" for path in re.findall(r'url\("([^"]+)"\)', sheet)]
    assert len(paths) == 6 and "http" not in "".join(paths) and "https:" not in html + sheet
    for path in (path.replace("page/../", "") for path in paths):
        connection = serving.get(path) if not path.endswith(".ttf") else None
        assert connection is None or connection.status == 200, path


def test_the_browser_is_told_to_load_nothing_from_elsewhere(serving: Serving) -> None:
    for path in ("", "page/page.css", "nothing"):
        headers = serving.get(path).headers
        policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'" and policy["script-src"] == "'self'"
        ours = {"'self'", "data:", "'unsafe-inline'", "'none'"}
        hosts = {f"ws://{name}:{serving.port}" for name in ("127.0.0.1", "localhost")}
        assert set(" ".join(policy.values()).split()) <= ours | hosts
        assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"


async def test_a_page_shows_the_workbench_which_knows_no_secret_and_ends_with_the_page(serving: Serving) -> None:
    async with page(serving) as opened:
        await shown(opened, "find-kettle")
        (workbench,) = serving.workbenches()
        assert "planted" in str(psutil.Process(serving.process.pid).environ())
        known = workbench.environ()
        assert "planted" not in str(known) and {"HOME", "PATH", "TERM"} <= known.keys()
        assert (known["COLUMNS"], known["ROWS"]) == ("100", "30")
        await opened.send_str(json.dumps(["ping", "7"]))
        while (message := await opened.receive(timeout=30)).type is not aiohttp.WSMsgType.TEXT:
            pass
        assert json.loads(message.data) == ["pong", "7"]
        await opened.send_str(json.dumps(["stdin", "?"]))
        await shown(opened, "Keys")
        await opened.send_str(json.dumps(["resize", {"width": 10**9, "height": -1}]))
        await opened.send_str("[" * 5000)
        while (message := await opened.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1003
    eventually(lambda: not serving.workbenches())


def test_what_a_workbench_gets_is_named() -> None:
    own = {**PLANTED, "HOME": "/h", "LC_ALL": "C", "XDG_STATE_HOME": "/s", "HTTPS_PROXY": "http://u:p@h", "TMUX": "x"}
    assert page_environment(own, 80, 24).keys() - {"TERM", "COLUMNS", "ROWS"} == {
        "HOME",
        "LC_ALL",
        "XDG_STATE_HOME",
        "TEXTUAL_DRIVER",
        "TEXTUAL_COLOR_SYSTEM",
    }


# How it ends, and what it says where it cannot begin


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
async def test_a_signal_ends_it_and_the_workbenches_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    with Serving(waiting_run(tmp_path / "run").path) as serving:
        async with page(serving) as opened:
            await shown(opened, "find-kettle")
            (workbench,) = serving.workbenches()
            assert serving.end(number) == -number
            eventually(lambda: not workbench.is_running())


async def test_a_workbench_that_cannot_begin_says_why_on_the_page(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    with Serving(run.path) as serving:
        run.path.rename(tmp_path / "elsewhere")
        async with page(serving) as opened:
            await shown(opened, "there is no run")
            assert (await opened.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE


def refused(*arguments: str, program: tuple[str, ...] = COMMAND) -> tuple[int, str]:
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_taken_port_is_said_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        why = f"skillos-tui: port {port} of 127.0.0.1 cannot be used: Address already in use; give another one with --port\n"
        assert refused("--port", str(port)) == (1, why)


def test_a_missing_extra_is_said_with_the_command_that_installs_it() -> None:
    without = "import sys; sys.modules['textual_serve'] = None; from skillos_tui.command import main; main(['serve'])"
    code, why = refused(program=(sys.executable, "-c", without))
    assert code == 1 and why.count("\n") == 1 and 'pip install "skillos-tui[serve]"' in why


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--port", "70000"], 2, "argument --port"),
        (["--", "--thicket", "x"], 2, "unrecognized arguments"),
        (["--", "--theme", "nope"], 1, "there is no theme 'nope'"),
        (["nowhere"], 1, "there is no run 'nowhere'"),
    ],
)
def test_what_the_workbench_would_refuse_is_refused_at_once(arguments: list[str], code: int, said: str) -> None:
    found, why = refused(*arguments)
    assert found == code and said in why
