"""A GGUF file becomes a folder of transformers that answers alike, in a process that cannot take all memory."""

import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM

from engine.models.local.files import check_model
from engine.models.local.settings import LocalModelSettings
from tests.models.architectures import make
from tests.models.gguf_files import write_gguf
from tests.whole_loop.shell import ROOT


def test_a_converted_file_has_the_same_weights_and_needs_no_gguf(tmp_path):
    folder = make("llama", tmp_path)
    write_gguf(folder, tmp_path / "tiny.gguf")
    done = converted(tmp_path / "tiny.gguf", tmp_path / "made")
    assert done.returncode == 0, done.stderr
    check_model(LocalModelSettings(weights=str(tmp_path / "made"), context=64))
    before, after = (AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (folder, tmp_path / "made"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].bfloat16(), after[name].bfloat16()) for name in before)
    assert not hasattr(AutoModelForCausalLM.from_pretrained(tmp_path / "made").config, "quantization_config")


def test_a_file_that_is_none_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03\0\0\0")
    done = converted(tmp_path / "broken.gguf", tmp_path / "made")
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stderr.strip()
    assert not (tmp_path / "made").exists()


def converted(file, folder):
    command = [sys.executable, "-m", "engine.models.catalogue.convert", str(file), str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
