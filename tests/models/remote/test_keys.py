"""Keys are read by name, never written, and never inherited."""

import threading

import pytest

from engine.core.errors import ConfigError
from engine.models.remote import keys
from engine.models.remote.keys import Secrets, clean_environment, read_key


def test_the_environment_comes_before_the_keyring(monkeypatch):
    monkeypatch.setenv("SOME_KEY", " abc ")
    assert read_key("SOME_KEY") == "abc"
    assert read_key("") is None


@pytest.mark.parametrize("value", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_can_have_is_refused_without_being_quoted(monkeypatch, value):
    monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ConfigError, match="the key called SOME_KEY") as raised:
        read_key("SOME_KEY")
    assert value not in str(raised.value)


def test_the_key_itself_is_no_name_and_is_not_quoted():
    with pytest.raises(ConfigError) as raised:
        read_key("sk-abcdef")
    assert "sk-abcdef" not in str(raised.value)


def test_a_keyring_that_hangs_or_fails_is_said(monkeypatch):
    class Broken:
        def get_password(self, service, name):
            raise OSError("no D-Bus")

    class Hanging:
        def get_password(self, service, name):
            threading.Event().wait(5)

    monkeypatch.delenv("SOME_KEY", raising=False)
    monkeypatch.setattr(keys, "KEYRING_SECONDS", 0.1)
    for ring, problem in ((Broken(), "no D-Bus"), (Hanging(), "did not answer within 0.1 s")):
        monkeypatch.setattr("keyring.get_password", ring.get_password)
        with pytest.raises(ConfigError, match=f"keyring set skillos-tui SOME_KEY.*{problem}"):
            read_key("SOME_KEY")


def test_a_key_is_taken_out_in_every_form_in_which_it_may_be_repeated():
    key = 'a/b+c"d'
    secrets = Secrets([key, None])
    for form in (key, "a%2Fb%2Bc%22d", 'a/b+c\\"d', 'a\\/b+c"d'):
        assert secrets.without(f"<{form}>".encode()).decode() == "<…>"
        assert secrets.text_without(f"<{form}>") == "<…>"


def test_children_inherit_no_secret():
    environment = {
        "PATH": "/bin",
        "HOME": "/root",
        "OPENAI_API_KEY": "a",
        "HF_TOKEN": "b",
        "MY_PASSWORD": "c",
        "AWS_SECRET_ACCESS_KEY": "d",
        "NAMED": "e",
        "KEYBOARD": "us",
        "TOKENIZERS_PARALLELISM": "false",
        "SSH_AUTH_SOCK": "/run/agent",
    }
    kept = {"PATH", "HOME", "KEYBOARD", "TOKENIZERS_PARALLELISM", "SSH_AUTH_SOCK"}
    assert set(clean_environment(environment, keys=["NAMED"])) == kept
    assert set(clean_environment(environment, keys=["NAMED"], keep=["HF_TOKEN"])) == kept | {"HF_TOKEN"}


def test_a_key_that_json_writes_with_escapes_is_taken_out_too():
    secrets = Secrets(["sk-a/b.c"])
    assert secrets.without(b'{"message": "sk\\u002da/b\\u002Ec and \\u0073k-a\\/b.c, \\u00e9"}') == (
        '{"message": "… and …, \\u00e9"}'.encode()
    )
