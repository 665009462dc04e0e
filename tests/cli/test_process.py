"""The command line in a separate process: exit codes, signals, pipes and imports."""

import os
import signal
import subprocess
import sys
import tomllib

import pytest

from neuroasync import write_bundle, write_spikes
from neuroasync.cli.command_table import COMMANDS
from tests.cli.test_bad_input import loop
from tests.helpers.cli_files import SAMPLES, some_trains
from tests.helpers.paths import ROOT

CLI = (sys.executable, "-m", "neuroasync")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


def run_cli(*args, **options):
    """Run the command line in a process, with a timeout and captured output."""
    options = {"capture_output": True, "text": True, "timeout": 120} | options
    return subprocess.run([*CLI, *map(str, args)], **options)


def test_run_works_as_a_process(files):
    result = run_cli("run", files.net, files.events)
    assert (result.returncode, result.stderr) == (0, "")
    assert str(SAMPLES) in result.stdout


def test_usage_error_is_one_line_on_stderr(files):
    result = run_cli("run", files.net)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: missing argument 'SAMPLES' (see --help)\n"


def test_version_is_one_line():
    result = run_cli("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("neuroasync")
    assert result.stdout.count("\n") == 1


def modules_loaded_by(*args, code=0):
    """Return the names of all modules that the command line loads for ``args``."""
    script = (
        "import sys\n"
        "from neuroasync.cli import main\n"
        f"sys.argv = ['neuroasync', *{[str(arg) for arg in args]}]\n"
        "try:\n    main()\n"
        f"except SystemExit as end:\n    assert (end.code or 0) == {code}\n"
        "print(*sys.modules)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return set(process.stdout.splitlines()[-1].split())


def test_run_imports_neither_training_nor_plots(files):
    loaded = modules_loaded_by("run", files.net, files.events)
    assert loaded.isdisjoint({"torch", "matplotlib", "sklearn", "pandas"})


SLOW = {"asyncio", "msgpack", "numba", "numpy", "pydantic", "rich", "torch", "uvloop"}


@pytest.mark.parametrize(
    ("args", "code"),
    [(["--version"], 0), (["--help"], 0), ([], 0), (["help"], 0), (["rnu"], 2), (["--unknown"], 2)],
    ids=["version", "--help", "no command", "help", "unknown command", "unknown option"],
)
def test_version_help_and_usage_errors_import_no_command(args, code):
    loaded = modules_loaded_by(*args, code=code)
    assert loaded.isdisjoint(SLOW)
    assert not any(name.startswith("neuroasync.cli.commands") for name in loaded)


@pytest.mark.parametrize("command", [entry.name for entry in COMMANDS])
def test_help_of_a_command_imports_no_slow_package(command):
    assert modules_loaded_by(command, "--help").isdisjoint(SLOW - {"asyncio", "pydantic"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("insp", {"inspect"}),
        ("run unl", {"unlayered"}),
        ("inspect ./n", {"./net.nab"}),
        ("run unlayered digits-", {"digits-latency"}),
        ("run unlayered e", {"events.npz"}),
        ("run unlayered digits --policy r", {"random"}),
        ("explain run.npz --bundle que", {"queued"}),
        ("serve unlayered que", {"queued"}),
    ],
)
def test_shell_completes_commands_names_files_and_values(files, words, expected):
    env = os.environ | {
        "_NEUROASYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": f"neuroasync {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    program = "import sys; sys.argv[0] = 'neuroasync'; from neuroasync.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=env, cwd=files.folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert set(result.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_shown(shell):
    result = run_cli("--show-completion", shell, env=os.environ | NO_DETECTION)
    assert result.returncode == 0
    assert "_COMPLETE" in result.stdout


NO_DETECTION = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


@pytest.mark.parametrize("command", [("inspect", "unlayered"), ("run", "--help"), ("--help",)])
def test_terminal_without_unicode_gets_ascii(command):
    env = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    result = run_cli(*command, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.isascii()
    assert "?" not in result.stdout


INTERRUPTED = """\
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except BaseException:
    pass
os._exit(7)
"""
"""A module that is interrupted while it is imported, and catches the exception."""


@posix
@pytest.mark.parametrize(("handler", "code"), [("default_int_handler", 130), ("SIG_IGN", 7)])
@pytest.mark.parametrize("module", ["typer", "numba"])
def test_ctrl_c_is_quiet_during_imports_unless_it_is_ignored(
    files, tmp_path, module, handler, code
):
    (tmp_path / f"{module}.py").write_text(INTERRUPTED)
    command = (
        f"from signal import *; signal(SIGINT, {handler})\n"
        f"import sys; sys.argv = ['neuroasync', 'run', {str(files.net)!r}, {str(files.events)!r}]\n"
        "from neuroasync.cli import main; main()"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    result = subprocess.run(
        [sys.executable, "-c", command], env=env, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout, result.stderr) == (code, "", "")


@posix
def test_ctrl_c_is_quiet_while_the_options_are_read():
    program = (
        "import os, signal, sys, typer.utils\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "read = typer.utils.get_type_hints\n"
        "def interrupted(*args, **options):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return read(*args, **options)\n"
        "typer.utils.get_type_hints = interrupted\n"
        "sys.argv = ['neuroasync', 'demo']\n"
        "from neuroasync.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_console_script_is_the_main_function_of_the_cli():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"neuroasync": "neuroasync.cli:main"}


@posix
@pytest.mark.parametrize("record", [(), ("--record", "out.npz")])
def test_ctrl_c_exits_with_130_and_leaves_no_file(files, record):
    write_bundle(loop(), files.net)  # A forward pass without end.
    write_spikes(type(some_trains())([0], [0], [0, 1], None, (2,)), files.events)
    before = files.listing()
    terminal, stderr = os.openpty()  # On a terminal, the progress bar shows that the run has begun.
    process = subprocess.Popen(
        [*CLI, "run", "net.nab", "events.npz", "--max-forward-steps", str(2**27), *record],
        cwd=files.folder, stdout=subprocess.PIPE, stderr=stderr, text=True,
        preexec_fn=_enable_ctrl_c,
    )  # fmt: skip
    os.close(stderr)
    shown = b""
    try:
        while b"deciding" not in shown:
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    shown += _rest(terminal)
    assert process.returncode == 130
    assert stdout == ""
    assert b"Traceback" not in shown
    assert b"error" not in shown
    assert files.listing() == before


@posix
def test_closed_pipe_ends_the_command_quietly(files):
    reader, writer = os.pipe()
    os.close(reader)
    result = run_cli(
        "run", files.net, files.events, capture_output=False, stdout=writer,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


@posix
def test_closed_stdout_is_not_an_error(files):
    command = f'"{sys.executable}" -m neuroasync run "{files.net}" "{files.events}" >&-'
    result = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_gives_one_line_of_error(files):
    with open("/dev/full", "w") as full:
        result = run_cli(
            "run", files.net, files.events, capture_output=False, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == "error: output: No space left on device\n"


def _enable_ctrl_c() -> None:
    """Restore the default handling of Ctrl-C, which a shell disables for background jobs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _rest(terminal: int) -> bytes:
    """Return the remaining output of a terminal and close it."""
    read = b""
    try:
        while data := os.read(terminal, 4096):
            read += data
    except OSError:  # A terminal reports in this way that its other end was closed.
        pass
    os.close(terminal)
    return read
