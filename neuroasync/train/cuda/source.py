"""The CUDA C++ text of the kernels, with constants generated from the layouts in Python."""

from importlib.resources import files
from typing import Final

from neuroasync.core.kernels.layout import ConnectionKind, Connections, PolicyCode, Populations
from neuroasync.train.cuda.layout import SEVERAL, CudaContext, Status
from neuroasync.train.kernels import surrogate

__all__ = ["KERNELS", "MAX_THREADS", "cuda_source"]

KERNELS: Final = ("forward", "backward", "add_up")
"""The names of the kernels."""
MAX_THREADS: Final = 512
"""Maximum number of threads of a block."""
_FILES: Final = (
    "common", "state", "delivery", "forward", "turns", "run", "gradients", "backward",
    "backward_turns", "unwind",
)  # fmt: skip


def cuda_source() -> str:
    """Return the text that a CUDA compiler compiles."""
    folder = files("neuroasync.train.cuda") / "kernels"
    return "\n".join([_constants(), *((folder / f"{name}.cuh").read_text() for name in _FILES)])


def _constants() -> str:
    tables = {
        "POPULATIONS": Populations._asdict(),
        "CONNECTIONS": Connections._asdict(),
        "CONTEXT": CudaContext._asdict(),
        "STATUS": Status._asdict(),
        "KIND": {kind.name: int(kind) for kind in ConnectionKind},
        "POLICY": {policy.name: int(policy) for policy in PolicyCode},
        "SURROGATE": {
            name: getattr(surrogate, name) for name in surrogate.__all__ if name.isupper()
        },
    }
    lines = [f"#define {t}_{name} {n}" for t, names in tables.items() for name, n in names.items()]
    columns = {"POPULATIONS": len(Populations), "CONNECTIONS": len(Connections), "STATUS": 6}
    lines += [f"#define SEVERAL ({SEVERAL})", f"#define MAX_THREADS {MAX_THREADS}"]
    lines += [f"#define {table}_COLUMNS {n}" for table, n in columns.items()]
    return "\n".join(lines)
