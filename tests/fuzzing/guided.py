"""Guided fuzzing: atheris keeps the inputs that reach new code, and changes these further."""

import sys
from pathlib import Path
from random import Random

from tests.helpers.paths import ROOT

__all__ = ["run_guided"]

MAX_BYTES = 2**14

_COMPILED = ("core/kernels", "train/kernels")
"""Folders of modules that Numba compiles, which can therefore not be instrumented."""


def run_guided(name: str, seconds: int, folder: Path) -> None:
    """Fuzz a target, and exit. Inputs that reach new code are kept in ``folder/NAME``.

    An input that breaks a promise is written to ``folder`` and ends the run with status 77.
    """
    import atheris

    with atheris.instrument_imports(["neuroasync"], exclude=_compiled_modules()):
        from tests.fuzzing.targets import TARGETS
    from tests.fuzzing.corpus_files import read_corpus
    from tests.fuzzing.guard import Guard

    target = TARGETS[name]
    guard = Guard(target)
    kept = folder / name
    kept.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(target.seeds() + read_corpus(name)):
        (kept / f"seed-{k}").write_bytes(data)

    def mutate_bytes(data: bytes, _: Random) -> bytes:
        return bytes(atheris.Mutate(data, min(2 * len(data) + 64, MAX_BYTES)))

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        return target.mutate(bytes(data), Random(seed), mutate_bytes)[:max_size]

    options = [
        f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=20", "-rss_limit_mb=4096",
        f"-artifact_prefix={folder}/{name}-", "-print_final_stats=1", "-len_control=0",
    ]  # fmt: skip
    atheris.Setup(
        [sys.argv[0], *options, str(kept)], lambda data: guard.check(data), custom_mutator=mutate
    )
    atheris.Fuzz()


def _compiled_modules() -> list[str]:
    package = ROOT / "neuroasync"
    files = [path for folder in _COMPILED for path in (package / folder).rglob("*.py")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
