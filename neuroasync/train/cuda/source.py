"""The CUDA C++ text of the kernels, with constants generated from the layouts in Python."""

from importlib.resources import files
from typing import Final

from neuroasync.core.kernels.layout import (
    ConnectionKind,
    Connections,
    Control,
    Phase,
    PolicyCode,
    Populations,
    RuleCode,
    Votes,
)
from neuroasync.train.cuda.layout import SEVERAL, STATUS_COLUMNS, CudaContext, Status
from neuroasync.train.kernels import surrogate

__all__ = ["KERNELS", "MAX_THREADS", "cuda_source"]

KERNELS: Final = ("forward", "decide_samples", "backward", "add_up")
"""The names of the kernels. The second one is the first without a record, but with decisions."""
MAX_THREADS: Final = 512
"""Maximum number of threads of a block."""
_FORWARD: Final = ("state", "tally", "delivery", "forward", "turns", "run")
_BACKWARD: Final = ("gradients", "backward", "backward_turns", "unwind")


def cuda_source() -> str:
    """Return the text that a CUDA compiler compiles.

    The forward passes are in it twice, so that neither kernel has the registers of the other.
    """
    return "\n".join(
        [
            _constants(),
            _text("common"),
            *_forward("training", "forward", "false"),
            *_forward("deciding", "decide_samples", "true"),
            "using namespace training;",
            *map(_text, _BACKWARD),
        ]
    )


def _text(name: str) -> str:
    return (files("neuroasync.train.cuda") / "kernels" / f"{name}.cuh").read_text()


def _forward(namespace: str, kernel: str, decides: str) -> list[str]:
    """Return the text of one of the two kernels for forward passes."""
    return [
        f"namespace {namespace} {{",
        f"#define FORWARD {kernel}",
        f"constexpr bool DECIDES = {decides};  // samples get a decision, and no record",
        *map(_text, _FORWARD),
        "#undef FORWARD",
        "}",
    ]


def _constants() -> str:
    tables = {
        "POPULATIONS": Populations._asdict(),
        "CONNECTIONS": Connections._asdict(),
        "CONTEXT": CudaContext._asdict(),
        "STATUS": Status._asdict(),
        "CONTROL": Control._asdict(),
        "VOTES": Votes._asdict(),
        "KIND": {kind.name: int(kind) for kind in ConnectionKind},
        "POLICY": {policy.name: int(policy) for policy in PolicyCode},
        "RULE": {rule.name: int(rule) for rule in RuleCode},
        "PHASE": {phase.name: int(phase) for phase in Phase},
        "SURROGATE": {
            name: getattr(surrogate, name) for name in surrogate.__all__ if name.isupper()
        },
    }
    lines = [f"#define {t}_{name} {n}" for t, names in tables.items() for name, n in names.items()]
    columns = {
        "POPULATIONS": len(Populations),
        "CONNECTIONS": len(Connections),
        "STATUS": STATUS_COLUMNS,
    }
    lines += [f"#define SEVERAL ({SEVERAL})", f"#define MAX_THREADS {MAX_THREADS}"]
    lines += [f"#define {table}_COLUMNS {n}" for table, n in columns.items()]
    return "\n".join(lines)
