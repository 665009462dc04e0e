"""Import and export of the Neuromorphic Intermediate Representation (NIR)."""

from neuroasync.interchange.nir.export.exporter import export_nir
from neuroasync.interchange.nir.importer import import_nir

__all__ = ["export_nir", "import_nir"]
