"""Memory of large messages returns to the system when they end."""

import platform
import subprocess
import sys

import pytest

from neuroasync.serve.process.allocator import return_free_memory, set_mmap_threshold

_SCRIPT = """
from pathlib import Path
from neuroasync.serve.process.allocator import set_mmap_threshold

def resident_bytes():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

assert set_mmap_threshold(2**16)
bytearray(250_000)  # is freed at once, which would raise the threshold of glibc by default
before = resident_bytes()
kept, messages = [], []
for k in range(200):
    messages.append(bytearray(b"[" * 250_000))
    kept.append(bytearray(b"[" * 50_000))  # lies behind the message in the heap
assert resident_bytes() - before > 50e6
messages.clear()
print(resident_bytes() - before)  # without fixing the threshold, this is 60 MB
"""


_SCATTERED = """
from pathlib import Path
from neuroasync.serve.process.allocator import return_free_memory

def resident_bytes():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

before = resident_bytes()
kept, parts = [], []
for k in range(1000):
    parts.append(bytearray(b"[" * 50_000))
    kept.append(bytearray(b"[" * 3000))  # lies behind the part in the heap
parts.clear()
assert resident_bytes() - before > 40e6
assert return_free_memory()
print(resident_bytes() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
@pytest.mark.parametrize("script", [_SCRIPT, _SCATTERED])
def test_memory_of_large_messages_returns_while_small_objects_stay(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert int(done.stdout) < 15e6


def test_other_systems_keep_their_allocator(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not set_mmap_threshold(2**16)
    assert not return_free_memory()
