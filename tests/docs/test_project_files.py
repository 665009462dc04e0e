"""The files around the project agree with the package and with each other."""

import json
import re
import tomllib

import pytest

import neuroasync
from tests.helpers.paths import ROOT
from tools.audit_dependencies import report as audit_report
from tools.branch_coverage import branch_rates
from tools.lock_dependencies import LOCK, without_torch
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


def locked_versions():
    """Return the lowest version of each package that the checks install by its hash."""
    text = LOCK.read_text("utf-8")
    versions = {}
    for name, version, hashes in re.findall(
        r"^([\w-]+)==([\w.]+)[^\n]*\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.M
    ):
        assert hashes
        versions[name] = min(versions.get(name, version), version, key=as_numbers)
    assert set(versions) == {re.split("==", line)[0] for line in re.findall(r"^\w.*", text, re.M)}
    return versions


def as_numbers(version):
    return tuple(map(int, re.findall(r"\d+", version)))


def test_locked_versions_satisfy_every_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    extras = re.findall(r"[\w-]+", optional["dev"][0].partition("[")[2])
    required = [*project["dependencies"], *optional["dev"][1:]]
    required += [requirement for extra in extras for requirement in optional[extra]]
    locked = locked_versions()
    assert "torch" not in locked  # constraints.txt pins it
    for requirement in required:
        name, lowest = re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", requirement).groups()
        if name != "torch":
            assert as_numbers(locked[name]) >= as_numbers(lowest), requirement


def test_lock_leaves_out_torch_and_its_libraries():
    compiled = "a==1 \\\n    --hash=x\n    # via b\n{}torch-x==1 \\\n    --hash=y"
    removed = (
        "nvidia-cublas==13 ; sys_platform == 'linux' \\\n    --hash=z\ntorch==2 \\\n    --hash=y\n"
    )
    assert without_torch(compiled.format(removed)) == without_torch(compiled.format(""))


@pytest.mark.parametrize(
    ("packages", "text", "status"),
    [
        ([], "skipped, because the database cannot be reached", 0),
        ([{"name": "a", "skip_reason": "not found"}], "skipped, because the database cannot", 0),
        (
            [{"name": "a", "version": "1", "vulns": []}, {"name": "b"}],
            ": 1 of 2 packages, 0 kno",
            0,
        ),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2", "3"]}]}],
            "a 1: X-1, fixed in 2, 3\ndependency audit: 1 of 1 packages, 1 known vulnerabilities",
            1,
        ),
    ],
)
def test_audit_reports_vulnerabilities_or_says_that_it_was_skipped(packages, text, status):
    found, code = audit_report(json.dumps({"dependencies": packages}))
    assert text in found
    assert code == status
    assert audit_report("no JSON") == audit_report('{"dependencies": []}')


def test_branch_coverage_is_measured_for_each_folder():
    files = {
        "neuroasync/core/a.py": {"summary": {"num_branches": 6, "covered_branches": 6}},
        "neuroasync\\core\\b.py": {"summary": {"num_branches": 2, "covered_branches": 0}},
        "neuroasync/cli/c.py": {"summary": {"num_branches": 9, "covered_branches": 0}},
    }
    assert branch_rates(files) == {"neuroasync/core/": 75.0, "neuroasync/runtime/": 0.0}


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


def test_every_path_in_the_guarantees_exists():
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    paths = re.findall(r"\b(?:tests|bench)/[\w/.]+", text)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
