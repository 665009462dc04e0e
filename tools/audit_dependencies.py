"""Report known vulnerabilities of the packages in ``.ci/requirements.txt``.

Usage: ``python -m tools.audit_dependencies``. Exits with status 1 if there are any. Without a
connection to the database of PyPI, the audit is skipped and says so.
"""

import json
import subprocess
import sys
from typing import Any

from tools.lock_dependencies import LOCK


def report(audit: str) -> tuple[str, int]:
    """Return a report and an exit status for the JSON output of pip-audit."""
    try:
        packages: list[dict[str, Any]] = json.loads(audit)["dependencies"]
    except (ValueError, KeyError):
        packages = []
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        return "dependency audit: skipped, because the database cannot be reached", 0
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version'}"
        for package in audited
        for vulnerability in package["vulns"]
    ]
    summary = f"dependency audit: {len(audited)} of {len(packages)} packages, {len(found)} known"
    return "\n".join([*found, f"{summary} vulnerabilities"]), 1 if found else 0


def main() -> int:
    """Run pip-audit and print its findings."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "-r", str(LOCK)]
    run = subprocess.run(
        [*command, "-f", "json", "--progress-spinner", "off", "--timeout", "5"],
        capture_output=True,
        check=False,
        text=True,
    )
    text, status = report(run.stdout)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
