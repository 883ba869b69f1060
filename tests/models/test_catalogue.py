"""The catalogue: what is added is whole, what is not is named, and nothing is downloaded that a person did not agree to."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from engine.core.errors import ConfigError
from engine.models.catalogue import adding, fetching, store
from engine.models.catalogue.known import WHEEL, Wheel
from engine.models.local.files import check_model, weights_path
from engine.models.local.settings import LocalModelSettings
from tests.cli.shell import shell
from tests.models.small import base, tokenizer


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "skillos-tui" / "models"


@pytest.fixture
def folder(tmp_path):
    """A folder of transformers."""
    base().save_pretrained(tmp_path / "Mine")
    tokenizer().save_pretrained(tmp_path / "Mine")
    return tmp_path / "Mine"


def made(home, name="smol", text="weights"):
    """A model that was made here."""
    with store.writing() as place, store.draft(place, name) as draft:
        work = draft / name
        work.mkdir()
        (work / "model.safetensors").write_text(text)
        store.keep(work, home / name, licence="Apache-2.0", origin="a test")
    return home / name


def wheel(path, content, **more):
    """A wheel with one file, and what is known of it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/model.gguf", content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = {"member": "a/model.gguf", "member_size": len(content), "size": 1, "sha256": digest, **more}
    return Wheel(package="a", version="1", file=path.name, **known)


# Names


def test_a_folder_of_ones_own_gets_a_name_and_is_not_copied(folder, home):
    done = shell("models", "add", folder)
    assert done.code == 0 and f"mine is {folder}" in done.out
    assert [path.name for path in home.iterdir() if path.suffix] == ["mine.json"]
    assert weights_path("mine") == str(folder)
    check_model(LocalModelSettings(weights="mine", context=64))
    assert LocalModelSettings(weights="mine").absolute().weights == "mine"
    assert shell("models", "add", folder).code == 0


def test_a_name_means_the_catalogues_model_in_whatever_folder_a_person_is(home, tmp_path, monkeypatch):
    made(home)
    (tmp_path / "here" / "smol").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert LocalModelSettings(weights="smol").absolute().weights == "smol"
    assert weights_path("smol") == str(home / "smol")


@pytest.mark.parametrize(
    ("weights", "words"),
    [("smol", "skillos-engine models add smol"), ("smol-curator", "skillos-engine models add smol-curator")],
)
def test_a_run_with_a_model_that_is_not_here_is_refused_with_the_command_that_adds_it(weights, words):
    with pytest.raises(ConfigError, match=words):
        check_model(LocalModelSettings(weights=weights))


def test_a_link_that_leads_nowhere_is_named(folder):
    shell("models", "add", folder)
    folder.rename(folder.parent / "moved")
    with pytest.raises(ConfigError, match=r"was linked to .* where nothing is"):
        check_model(LocalModelSettings(weights="mine"))
    done = shell("models", "list")
    assert done.code == 1 and "nothing is there any more" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-such"], "no folder or file, and no model"),
        (["smoll"], "smol"),
        (["Qwen/Qwen3-8B"], "hf download Qwen/Qwen3-8B"),
        ([".", "--name", "a b"], "cannot be"),
        ([".", "--wheel", "x"], "--wheel is the package of smol"),
    ],
)
def test_what_cannot_be_added_is_refused_in_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = shell("models", "add", *arguments)
    assert done.code in (1, 2) and words in done.err and "Traceback" not in done.err


def test_another_model_does_not_take_a_name(folder, tmp_path):
    shell("models", "add", folder)
    other = tmp_path / "other"
    base().save_pretrained(other)
    tokenizer().save_pretrained(other)
    done = shell("models", "add", other, "--name", "mine")
    assert done.code == 1 and f"mine is {folder} already" in done.err
    assert "is the name of a model of this program" in shell("models", "add", folder, "--name", "smol").err


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"path": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_costs_one_row(content, home):
    home.mkdir(parents=True)
    (home / "mine.json").write_bytes(content)
    done = shell("models", "list")
    assert done.code == 1 and "mine.json is damaged" in done.out and "pocket" in done.out
    with pytest.raises(ConfigError, match="damaged"):
        check_model(LocalModelSettings(weights="mine"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "which model"),
        (["smoll"], 1, "there is no model 'smoll' on this machine"),
        (["Qwen/Qwen3-8B"], 1, "there is no model 'Qwen/Qwen3-8B' on this machine"),
        (["a b/c//d"], 1, "there is no model"),
        (["smol", "--profile", "pocket"], 2, "not both"),
    ],
)
def test_only_what_is_on_this_machine_is_checked(arguments, code, words):
    done = shell("models", "check", *arguments)
    assert done.code == code and words in done.err and "Traceback" not in done.err


def test_a_check_says_what_the_model_does_and_what_it_could_not_measure():
    done = shell("models", "check", "pocket", "--json")
    assert done.code == 0, done.err
    (checked,) = json.loads(done.out)
    found = {finding["what"]: finding for finding in checked["findings"]}
    assert found["chat template"]["state"] == found["tools"]["state"] == found["log-probabilities"]["state"] == "ok"
    assert found["log-probabilities"]["value"] <= 0 < found["speed of 8, tokens/s"]["value"]
    assert found["stop tokens"]["text"].startswith("<|im_end|>") and found["memory, MB"]["value"] > 100


# Files


def test_hashes_are_compared_and_a_changed_file_is_named(home):
    folder = made(home)
    assert adding.is_whole("smol")
    (folder / "model.safetensors").write_text("weighty")
    assert not adding.is_whole("smol")
    rows = {row["name"]: row for row in json.loads(shell("models", "list", "--json").out)}
    assert "model.safetensors was changed" in rows["smol"]["state"] and rows["smol"]["fault"]


def test_a_check_compares_the_hashes_before_it_loads_the_model(home):
    made(home)
    (home / "smol" / "model.safetensors").write_text("weighty")
    done = shell("models", "check", "smol", "--json")
    hashes, load = json.loads(done.out)[0]["findings"]
    assert done.code == 1 and hashes["what"] == "hashes" and hashes["state"] == load["state"] == "fault"
    assert "model.safetensors was changed" in hashes["text"] and "models add smol makes it again" in hashes["text"]


def test_files_that_nobody_has_the_hashes_of_are_unmeasured(home, tmp_path):
    (tmp_path / "mine").mkdir()
    done = shell("models", "check", tmp_path / "mine", "--json")
    assert json.loads(done.out)[0]["findings"][0]["state"] == "unmeasured"


def test_a_model_is_replaced_whole(home):
    made(home, text="old")
    (home / "smol" / "left-over").write_text("x")
    made(home, text="new")
    assert sorted(path.name for path in (home / "smol").iterdir()) == ["manifest.json", "model.safetensors"]
    assert (home / "smol" / "model.safetensors").read_text() == "new" and adding.is_whole("smol")


def test_what_was_interrupted_is_no_model_and_is_removed(home):
    with pytest.raises(KeyboardInterrupt), store.writing() as place, store.draft(place, "smol") as draft:
        (draft / "model.gguf").write_text("x")
        raise KeyboardInterrupt
    (home / ".draft-smol-killed").mkdir()
    assert store.names() == [] and store.path_of("smol") is None
    made(home)
    assert not list(home.glob(".draft-*"))


def test_a_conversion_ends_with_the_process_that_wanted_it(tmp_path):
    (tmp_path / "sleeper.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    child = "[sys.executable, '-m', 'engine.models.catalogue.follower', str(os.getpid()), 'sleeper']"
    source = f"import os, subprocess, sys, time; subprocess.Popen({child}); time.sleep(60)"
    path = os.pathsep.join([str(Path.cwd()), str(tmp_path)])
    wanting = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, env={"PYTHONPATH": path})
    with wanting:
        assert wanting.stdout.readline() == b"begun\n"
        wanting.kill()
        assert wanting.stdout.read() == b""  # the end of the output: no process has it open any more


def test_two_processes_do_not_add_at_the_same_time(home):
    with store.writing(), pytest.raises(store.CatalogueError, match="another process adds a model"):
        made(home)


# The wheel


def test_a_wheel_with_another_hash_is_not_opened(tmp_path, home):
    file = tmp_path / WHEEL.file
    file.write_bytes(b"PK not the wheel")
    done = shell("models", "add", "smol", "--yes", "--wheel", file)
    assert done.code == 1 and "its SHA-256 is" in done.err and not (home / "smol").exists()


def test_no_more_is_unpacked_than_is_known_of(tmp_path):
    known = wheel(tmp_path / "a.whl", b"x" * 5_000_000, member_size=1000)
    with pytest.raises(store.CatalogueError, match="another size"):
        fetching.extract(known, tmp_path / "a.whl", tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= 1000 + fetching.CHUNK
    whole = wheel(tmp_path / "b.whl", b"x" * 5000)
    fetching.extract(whole, tmp_path / "b.whl", tmp_path / "out2")
    assert (tmp_path / "out2").read_bytes() == b"x" * 5000


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x1f\x8b"])
def test_a_wheel_that_is_damaged_is_refused_in_one_sentence(content, tmp_path):
    file = tmp_path / "a.whl"
    file.write_bytes(content)
    known = msgspec.structs.replace(WHEEL, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(store.CatalogueError, match="cannot be unpacked"):
        fetching.extract(known, fetching.check_wheel(known, file), tmp_path / "out")


@pytest.fixture
def index(monkeypatch):
    """A package index that answers nothing and counts who calls."""
    calls = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            calls.append(1)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield calls
    server.close()


def test_nothing_is_fetched_without_consent(index):
    done = shell("models", "add", "smol")
    assert done.code == 2 and "add --yes" in done.err
    assert "93 MB" in done.out and "PyPI" in done.out and "Apache-2.0" in done.out
    for command in (["models", "list"], ["train", "--profile", "smol"]):
        shell(*command)
    assert index == []


@pytest.mark.skipif(find_spec("pip") is None, reason="this Python has no pip")
def test_without_an_index_there_is_one_sentence(index, home, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise SystemExit('a file of the working folder was run')")
    monkeypatch.chdir(tmp_path)
    done = shell("models", "add", "smol", "--yes")
    assert done.code == 1 and index
    assert len(done.err.strip().splitlines()) == 1 and "--wheel FILE" in done.err
    assert "the connection failed" in done.err
    assert [path.name for path in home.iterdir()] == [".lock"]
