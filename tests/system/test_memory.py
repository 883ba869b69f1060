"""The memory that a run reports."""

import subprocess
import sys

LOADING = """
import sys, threading, time
from engine.system.memory import measure

loading = threading.Thread(target=lambda: __import__("torch"))
loading.start()
while loading.is_alive():
    measure()
    time.sleep(0.005)
print(measure().source)
"""


def test_memory_is_measured_also_while_another_thread_loads_torch():
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("host, resident set")
