"""Networks as models of NeuroBench, the harness for benchmarks of neuromorphic algorithms."""

try:
    from neuroasync.interchange.neurobench.model import NeuroasyncModel
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"a network in NeuroBench needs {error.name}: pip install 'neuroasync[neurobench]'",
        name=error.name,
    ) from error

__all__ = ["NeuroasyncModel"]
