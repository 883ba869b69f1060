"""Connections that cannot be made: a silent server, proxies, addresses, certificates."""

import socket
import ssl

import pytest

from engine.core.errors import ConfigError
from engine.models.base import ModelUnavailable, Opening
from engine.models.limits import Retryable
from engine.models.openai.client import open_connection, reason_of
from engine.models.openai.opening import open_models
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.remote import opening
from tests.models.standin import Delayed, StandIn


async def test_a_server_that_takes_connections_and_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(opening, "LIST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = OpenAIModelSettings(url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        with pytest.raises(
            ModelUnavailable, match=r"gives no answer within 0\.2 s; start it again, or correct model\.url"
        ):
            await open_models(settings, Opening())


@pytest.mark.parametrize("proxy", ["garbage", "ftp://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_is_named(monkeypatch, proxy):
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(
        ConfigError, match=r"the environment variable http_proxy cannot be used.*example.com into no_proxy"
    ):
        open_connection(OpenAIModelSettings(url="http://example.com/v1"), None)


async def test_a_proxy_that_does_not_answer_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:hunter2@127.0.0.1:9")
    connection = open_connection(OpenAIModelSettings(url="http://example.com/v1"), None)
    with pytest.raises(Retryable, match=r"connection refused \(by the proxy http://…@127\.0\.0\.1:9\)"):
        await connection.request("GET", "/models", None)
    await connection.close()


def test_an_address_that_no_name_server_knows_is_a_wrong_setting():
    with pytest.raises(ConfigError, match=r"model\.url=http://☃"):
        open_connection(OpenAIModelSettings(url="http://☃.example/v1"), None)


def test_the_reasons_of_tls_are_those_of_tls():
    certificate = ssl.SSLCertVerificationError(1, "certificate verify failed")
    certificate.verify_message = "self-signed certificate"
    assert (
        reason_of(certificate) == "there is no secure connection: its certificate is not valid, self-signed certificate"
    )
    plain = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    plain.reason = "WRONG_VERSION_NUMBER"
    assert reason_of(plain).endswith("wrong version number; the server may want http:// in place of https://")


async def test_a_slow_server_may_take_its_time_for_each_request_of_the_opening():
    """The opening asks several times, one after the other."""
    with StandIn() as server:
        server.answer = lambda asked: Delayed(0.6, "hello")
        opened = await open_models(OpenAIModelSettings(url=server.url, answer_seconds=2), Opening())
        assert len(server.chats) > 4
        await opened.close()


async def test_a_server_that_is_slower_than_its_time_is_named_with_the_setting():
    with StandIn() as server:
        server.answer = lambda asked: Delayed(5, "hello")
        settings = OpenAIModelSettings(url=server.url, answer_seconds=0.3)
        with pytest.raises(ModelUnavailable, match=r"within 0\.3 s \(model\.answer_seconds\).* or raise"):
            await open_models(settings, Opening())
