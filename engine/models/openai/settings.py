"""The settings of the backend `openai`."""

from __future__ import annotations

from engine.models.remote.settings import RemoteSettings


class OpenAIModelSettings(RemoteSettings, frozen=True, tag="openai"):
    """A model behind OpenAI's API: of vLLM, NIM, llama.cpp, Ollama, Azure, OpenAI, or any service that has this API."""

    url: str = "http://127.0.0.1:8000/v1"
    """The address of the API, usually up to /v1: vLLM http://127.0.0.1:8000/v1, llama.cpp http://127.0.0.1:8080/v1, Ollama
    http://127.0.0.1:11434/v1, OpenAI https://api.openai.com/v1. Of Azure https://NAME.openai.azure.com, with api_version."""

    key: str = ""
    """The name of the key, never the key: of an environment variable, or of an entry of the keyring (keyring set skillos-tui
    NAME). "": the server wants none."""

    api_version: str = ""
    """Azure's version of the API, such as 2024-10-21; model is then the name of the deployment. "": not Azure."""

    body: str = ""
    """More fields of every request, as a JSON object: {"reasoning_effort": "low"}, or chat_template_kwargs of vLLM."""
