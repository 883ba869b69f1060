"""The GPU of the tests with the marker gpu: `device = gpu()`."""

import pytest
import torch


def gpu():
    """torch's name of a GPU; the test is skipped where PyTorch can use none."""
    if not torch.cuda.is_available():
        pytest.skip("PyTorch can use no GPU here (torch.cuda.is_available() is False)")
    return "cuda"
