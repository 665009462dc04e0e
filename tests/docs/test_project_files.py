"""The files around the project agree with the package and with each other."""

import re

import neuroasync
from tests.helpers.paths import ROOT
from tools.lowest_versions import lowest_versions


def test_citation_names_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {neuroasync.__version__}\n" in citation
    assert "arXiv:2408.05098" in citation


def test_continuous_integration_runs_the_same_script_in_every_job():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    jobs = re.findall(r"^  [\w-]+:$", workflow.partition("\njobs:\n")[2], re.M)
    assert workflow.count("bash .ci/run") == len(jobs) == 2
    assert (ROOT / ".ci" / "run").exists()


def test_lowest_versions_are_constraints_for_every_dependency():
    lines = lowest_versions()
    assert all(re.fullmatch(r"[\w-]+==\d+(\.\d+)*", line) for line in lines)
    names = {line.partition("==")[0] for line in lines}
    assert {"numpy", "numba", "msgpack", "starlette", "matplotlib"} <= names
    assert "torch" not in names  # constraints.txt pins it


def test_every_documentation_link_has_the_same_address():
    files = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CITATION.cff",
        "pyproject.toml",
        "mkdocs.yml",
    ]
    for name in files:
        text = (ROOT / name).read_text("utf-8")
        for link in re.findall(r"https://[\w.-]*(?:readthedocs|github)[^\s\"')\]]*", text):
            if "neuroasync" in link:
                assert link.startswith(
                    (
                        "https://neuroasync.readthedocs.io/en/latest/",
                        "https://github.com/neuroasync/neuroasync",
                    )
                )
