"""What glibc does with freed memory, in a process of its own: `keep_freed` holds for the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

MIB = 2**20
PROGRAM = """
import ctypes, sys
from pathlib import Path
from engine.system.memory import keep_freed, returning_freed

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def use(size):
    libc.malloc(1 << 19)  # the heap grows for it
    blocks = [libc.malloc(size) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        libc.free(block)

keep_freed()
before = resident()
if sys.argv[1] == "returned":
    with returning_freed():
        use(int(sys.argv[2]))
        print(resident() - before)
else:
    use(int(sys.argv[2]))
    print(resident() - before)
"""


def left(mode: str, size: int) -> int:
    """MiB of four freed blocks of `size` that are still in the process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode, str(size)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_tensors_are_returned_during_an_update_and_kept_in_rollouts() -> None:
    assert left("kept", 16 * MIB) > 48
    assert left("returned", 16 * MIB) < 8


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_no_large_block_is_left_in_the_end_of_the_heap() -> None:
    """The end of the heap has room for 256 MiB. A block in it would stay in the process, whatever its size."""
    assert left("returned", 60 * MIB) < 8
