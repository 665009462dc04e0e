"""``neuroasync warm``: compile kernels into the cache."""

import logging
import os
import sys
import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from neuroasync.cli.decide_samples import run_in_loop
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.output import echo_text
from neuroasync.core.compilation_log import compilation_log
from neuroasync.core.quantity import quantity

__all__ = ["warm"]


class TargetName(StrEnum):
    """The processors for which code is compiled."""

    NATIVE = "native"
    PORTABLE = "portable"


TargetOption = Annotated[
    TargetName,
    typer.Option(
        "--target",
        help="native: the processor of this machine, and others with the same instructions; "
        "portable: every processor of this architecture. Use it for images that are built on "
        "one machine and run on others.",
    ),
]


def warm(target: TargetOption = TargetName.NATIVE) -> None:
    """Compile all kernels ahead, so that later starts are quick.

    \b
    Examples:
      neuroasync warm
      neuroasync warm --target portable
      NUMBA_CACHE_DIR=/srv/kernels neuroasync warm

    Without this command, the first start compiles the kernels, which takes about a minute of
    processor time. All commands except `train` and `study` then start without compiling. The
    compiled code is saved in the folder that the environment variable NUMBA_CACHE_DIR names; if it
    is not set, in the folder of the installed package, or in the user's cache if that cannot be
    written. Code for this processor is preferred to portable code.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    if target is TargetName.PORTABLE:
        if "numba" in sys.modules:
            raise RuntimeError("numba has chosen its target already; run the command as a process")
        os.environ |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    from neuroasync.core.kernels import jit

    compilation_log.setLevel(logging.CRITICAL)  # The errors below say more.
    if not any(jit.is_writable(folder) for folder in jit.cache_folders()):
        raise _unsaved(jit)
    jit.fill_cache()
    began = time.process_time()
    run_in_loop(_use_all_kernels())
    counts = jit.counts
    if counts.saved < counts.compiled:
        raise _unsaved(jit)
    where = ", ".join(map(str, sorted(counts.folders)))
    if counts.compiled:
        seconds = time.process_time() - began
        functions = quantity(counts.compiled, "function")
        echo_text(f"compiled {functions} in {seconds:.1f} s of processor time\nsaved in {where}")
    else:
        echo_text(f"nothing to compile: all functions were loaded from {where}")


async def _use_all_kernels() -> None:
    """Decide one sample in every way, which compiles what the other commands call."""
    from neuroasync.core.recording.recorder import Recorder
    from neuroasync.runtime.network import Network
    from neuroasync.shipped import shipped_bundle, shipped_spikes

    bundle, sample = shipped_bundle("unlayered"), shipped_spikes()[0]
    for engine in ("compiled", "coroutines"):
        async with Network(bundle, engine=engine) as network, network.session() as session:
            await session.send(sample)
            session.snapshot()
            await session.finish_sample()
            await network.decide_all([sample])
            await network.decide_all([sample], recorder=Recorder(bundle, network.settings))
            async for _ in session.stream([sample], window="time(1ms)", carry_state=True):
                pass
            async for _ in session.watch(sample):
                pass


def _unsaved(jit: Any) -> CliError:
    folders = " or ".join(map(str, jit.cache_folders()))
    return CliError(
        f"compiled code cannot be saved in {folders}; set NUMBA_CACHE_DIR to a folder that can be "
        "written"
    )
