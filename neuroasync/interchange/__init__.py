"""Networks of other frameworks: import them as bundles, and export bundles for them.

- :func:`from_snntorch`, :func:`from_norse` and :func:`from_sinabs` import a trained torch module,
  and report how its spikes agree with the framework on reference samples. They need torch, which
  the extra ``train`` installs.
- :func:`import_nir` and :func:`export_nir` read and write files of the Neuromorphic Intermediate
  Representation (NIR). They need the extra ``nir``.
- :mod:`neuroasync.interchange.neurobench` runs a network in the harness of NeuroBench. It needs the
  extra ``neurobench``.
- :func:`frames_of` turns spike trains into the frames that layered frameworks take.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

# Type checkers and editors read these imports; at run time, ``__getattr__`` makes them one by one.
if TYPE_CHECKING:
    from neuroasync.interchange.agreement import Agreement, Difference
    from neuroasync.interchange.nir import export_nir, import_nir
    from neuroasync.interchange.norse import from_norse
    from neuroasync.interchange.sinabs import from_sinabs
    from neuroasync.interchange.snntorch import from_snntorch
    from neuroasync.interchange.torch_modules.reference_samples import frames_of

__all__ = [
    "Agreement",
    "Difference",
    "export_nir",
    "frames_of",
    "from_norse",
    "from_sinabs",
    "from_snntorch",
    "import_nir",
]

_MODULE_OF: Final = {
    "Agreement": "agreement",
    "Difference": "agreement",
    "export_nir": "nir",
    "frames_of": "torch_modules.reference_samples",
    "from_norse": "norse",
    "from_sinabs": "sinabs",
    "from_snntorch": "snntorch",
    "import_nir": "nir",
}
"""The module in which each public name is defined, relative to this package."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), because torch takes long to load."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            "importing a torch module needs torch: pip install 'neuroasync[train]'", name="torch"
        ) from error
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
