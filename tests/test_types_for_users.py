"""A type checker accepts right uses of the public interface and finds typos in names."""

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("mypy")

RIGHT = """\
from datetime import timedelta

import neuroasync as na


async def use(events: na.Events, late: na.Late, until: na.Until, policy: na.PolicyName) -> None:
    network = na.Network.load("unlayered", policy=policy, input="queued", until="margin(4,3)")
    await network.open()
    session = network.session(policy=na.Momentum(0.5), engine="compiled", until=until)
    decision = await session.decide(events, duration_us="20ms")
    confidence: float | None = decision.confidence
    margin: int = decision.margin
    await session.advance(timedelta(milliseconds=margin))
    async for decision in session.stream([events], window="time(50ms)", late=late):
        print(decision.label, confidence)
    await network.close()
"""
WRONG = {
    'na.Network.load("unlayered", policy="momentun")': "policy",
    'na.Network.load("unlayered", input="prioritized")': "input",
    'na.Network.load("unlayered", engine="numba")': "engine",
    'na.Network.load("unlayered", group="8")': "group",
    'session.stream([], late="later")': "late",
    "session.advance(1.5)": "advance",
}


def check(code, folder):
    """Return what mypy says about a program."""
    path = folder / "program.py"
    path.write_text(code)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--config-file=",
    ]
    done = subprocess.run(
        [*command, f"--cache-dir={folder / 'cache'}", str(path)],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    return done.stdout


def test_right_uses_are_accepted_and_each_typo_is_found(tmp_path):
    wrong = "\n".join(f"    {call}" for call in WRONG)
    code = f"{RIGHT}\n\ndef misuse(session: na.Session) -> None:\n{wrong}\n"
    found = [line for line in check(code, tmp_path).splitlines() if "error:" in line]
    first = len(code.splitlines()) - len(WRONG) + 1
    numbers = {int(line.split(":")[1]) for line in found if "program.py" in line}
    assert numbers == set(range(first, first + len(WRONG))), found
