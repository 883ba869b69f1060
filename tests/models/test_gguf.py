"""A GGUF file answers as the folder that it was made of, and one that cannot be used is refused with the reason."""

import asyncio

import pytest

from engine.core.errors import ConfigError
from engine.models.base import Message, Opening, Sampling
from engine.models.local.kind import check
from engine.models.local.opening import open_models
from engine.models.local.settings import LocalModelSettings
from tests.models.architectures import make
from tests.models.gguf_files import write_gguf
from tests.models.small import with_adapter

CHAT = [Message("user", "Get the mug.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a Llama, and beside it one with `tiny.gguf` alone."""
    folder = make("llama", tmp_path_factory.mktemp("models"))
    (folder.parent / "gguf").mkdir()
    write_gguf(folder, folder.parent / "gguf" / "tiny.gguf")
    return folder


def settings(path, **more):
    return LocalModelSettings(weights=str(path), **{"context": 256, **more})


async def test_a_file_and_its_folder_answer_as_the_model_that_they_were_made_of(folder):
    answers = []
    for weights in (folder, folder.parent / "gguf", folder.parent / "gguf" / "tiny.gguf"):
        check(settings(weights))
        opened = await open_models(settings(weights), Opening())
        answers.append(await opened.models.executor.complete(CHAT, Sampling(max_tokens=12, seed=2)))
    assert answers[0].tokens.completion_ids == answers[1].tokens.completion_ids == answers[2].tokens.completion_ids
    assert answers[1].tokens.logprobs == pytest.approx(answers[0].tokens.logprobs, abs=1e-4)


async def test_its_base_is_saved_and_trained_as_any_other(folder, tmp_path):
    opened = await open_models(settings(folder.parent / "gguf"), Opening())
    base = opened.base.lend()
    adapted = with_adapter(base)
    adapted.save_pretrained(tmp_path / "adapter")
    opened.base.serve(adapted)
    await opened.sink.publish(tmp_path / "adapter", 1)
    assert (await opened.models.curator.complete(CHAT, Sampling(max_tokens=2))).version == 1
    adapted.unload().save_pretrained(tmp_path / "plain")
    assert not (base.is_quantized or hasattr(base.config, "quantization_config"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-20_000])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda file: file.write_bytes(b"version https://git-lfs"), "tiny.gguf is not a GGUF file"),
        (
            lambda file: file.rename(file.with_name("tiny-00001-of-00002.gguf")),
            "is one part of a model; merge its parts",
        ),
        (lambda file: file.with_name("b.gguf").write_bytes(b"GGUF"), "it has 2 GGUF files: name one of them, such as"),
        (cut, "cannot be loaded"),
    ],
    ids=["no gguf", "part", "two", "cut"],
)
async def test_a_file_that_cannot_be_used_is_refused_with_the_reason(folder, tmp_path, change, why):
    file = tmp_path / "tiny.gguf"
    file.write_bytes((folder.parent / "gguf" / "tiny.gguf").read_bytes())
    change(file)
    with pytest.raises(ConfigError, match=why) as raised:
        await open_models(settings(tmp_path), Opening())
    assert str(raised.value).count("\n") == 0


def test_a_context_over_that_of_the_file_is_refused(folder):
    with pytest.raises(ConfigError, match="more than the 512 tokens"):
        asyncio.run(open_models(settings(folder.parent / "gguf", context=513), Opening()))
