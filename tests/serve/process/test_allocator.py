"""Memory of large messages returns to the system when they end."""

import platform
import subprocess
import sys

import pytest

from neuroasync.serve.process.allocator import fix_mmap_threshold

_SCRIPT = """
from pathlib import Path
from neuroasync.serve.process.allocator import fix_mmap_threshold

def resident_bytes():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

assert fix_mmap_threshold()
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_memory_of_large_messages_returns_while_small_objects_stay():
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True)
    assert done.stderr == ""
    assert int(done.stdout) < 15e6


def test_other_systems_keep_their_allocator(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not fix_mmap_threshold()
