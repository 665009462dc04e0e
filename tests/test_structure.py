"""The structure that newcomers rely on: small modules, small folders, no import cycle."""

from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.helpers.paths import ROOT

PACKAGE = ROOT / "neuroasync"
MAX_LINES = 350
MAX_MODULES = 16


def modules(folder: Path) -> list[Path]:
    """Return the modules of a folder."""
    return sorted(folder.glob("*.py"))


def too_long(paths: Iterable[Path]) -> dict[str, int]:
    """Return the files with too many lines, and how many each has."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    return {name: n for name, n in lengths.items() if n > MAX_LINES}


FOLDERS = sorted({path.parent for path in PACKAGE.rglob("*.py")})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_holds_few_modules_of_moderate_length(folder):
    assert len(modules(folder)) <= MAX_MODULES
    assert too_long(modules(folder)) == {}


@pytest.mark.parametrize("folder", ["bench", "examples", "tests", "tools"])
def test_files_beside_the_package_have_a_moderate_length(folder):
    paths = list((ROOT / folder).rglob("*.py"))
    assert paths
    assert too_long(paths) == {}


def test_no_module_imports_itself_through_others():
    graph = grimp.build_graph("neuroasync", exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError


def test_each_folder_of_tests_mirrors_a_folder_of_the_package():
    others = {
        "bench", "cancellation", "data", "docs", "fuzzing", "helpers", "semantics", "simulation",
    }  # fmt: skip
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("*.py")}
    mirrored = {folder for folder in folders if folder.parts and folder.parts[0] not in others}
    assert {str(folder) for folder in mirrored if not (PACKAGE / folder).is_dir()} == set()
