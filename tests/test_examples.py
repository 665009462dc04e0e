"""Every example runs and prints the expected output, and Ctrl-C ends those with live streams."""

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

EXPECTED = {
    "hand_built_network.py": r"left, .*, 1 in flight\nreplayed 3 spikes, all identical\n"
    r"output(.|\n)*",
    "compare_orders.py": r"order +right +spikes +rounds\n(\S+ +\d+% +\d+ +\d+\n){4}wrote .*\n",
    "decide.py": r"first guess: \d after \d+ spikes\n(decided: \d after \d+ rounds\n){5}",
    "custom_population.py": r"decided: \d; the last vote came before 5000 µs: True\n",
    "custom_policy.py": r"fifo: (1\d|2\d) of 40 right\nnewest-first: (1\d|2\d|3\d) of 40 right\n",
    "ray_cluster.py": r"(\w+ \w+, same as in one process: True\n){5}",
    "replay_camera.py": r"( *\d+ ms: (top|bottom) (left|right), \d+ spikes\n){20}"
    r"29589 events; .*\n",
    "sensor_gateway.py": r"(\{\"sample\":.*\}\n)+"
    r"events: [1-9]\d* accepted \+ [1-9]\d* dropped \+ 0 refused\n= (\d+) of \2 sent\n",
    "starlette_app.py": r"GET /: hello\n(\d after \d+ rounds\n){3}",
    "udp_sender.py": r"sending to 127\.0\.0\.1:\d+\nsent [1-9]\d* events\n",
    "training.py": r"validation accuracy after 2 epochs: [3-9]\d %\n",
}

LIVE = {"RealTimeClock", "UdpSource", "uvicorn"}
"""Names in programs that wait for the clock or the network."""


def run(script: Path, *arguments: str | Path, folder: Path) -> str:
    """Run a script in ``folder``, so that it cannot depend on the files of the clone."""
    env = os.environ | {"PYTHONIOENCODING": "utf-8"}
    process = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_every_example_is_tested():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_prints_the_expected_output(name, tmp_path):
    if name == "ray_cluster.py":
        pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")
    arguments = {"training.py": "2", "compare_orders.py": tmp_path / "orders.png"}
    extra = [arguments[name]] if name in arguments else []
    if name == "udp_sender.py":
        extra = ["127.0.0.1", "9", "2"]
    assert re.fullmatch(EXPECTED[name], run(ROOT / "examples" / name, *extra, folder=tmp_path))


def test_every_program_with_a_live_stream_guards_its_main_function():
    programs = [*(ROOT / "examples").glob("*.py"), *(ROOT / "docs" / "examples").glob("*.py")]
    sources = {path.name: path.read_text(encoding="utf-8") for path in programs}
    live = {name: s for name, s in sources.items() if LIVE & set(re.findall(r"\w+", s))}
    assert "udp_sender.py" in live
    ends = {ast.unparse(ast.parse(source).body[-1]) for source in live.values()}
    assert ends == {"with contextlib.suppress(KeyboardInterrupt):\n    asyncio.run(main())"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to the tests, too")
@pytest.mark.parametrize("name", ["examples/udp_sender.py", "docs/examples/udp_gateway.py"])
def test_ctrl_c_ends_a_program_quietly(name, tmp_path):
    source = (ROOT / name).read_text(encoding="utf-8")
    # The gateway waits for packets that never arrive.
    source = source.replace(
        "tasks.create_task(send_three_digits(camera))", "print('listening', flush=True)"
    )
    program = tmp_path / "program.py"
    program.write_text(source, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A program that is started in the background of a shell ignores SIGINT otherwise.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            assert process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60) == ("", "")
        finally:
            process.kill()
    assert process.returncode == 0
