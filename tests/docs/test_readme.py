"""The README is short, its example runs, and its links are absolute."""

import re

from tests.docs.test_examples_run import EXAMPLES, run
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def test_readme_is_smaller_than_8_kb():
    assert len(README.encode()) < 8_000


def test_example_of_the_readme_is_the_tested_one():
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert block == (EXAMPLES / "readme.py").read_text("utf-8")


def test_output_in_the_readme_is_what_its_example_prints(tmp_path):
    *_, output = re.findall(r"```text\n(.*?)```", README, re.S)
    assert run(EXAMPLES / "readme.py", tmp_path) == output


def test_links_of_the_readme_are_absolute_and_their_files_exist():
    links = dict(re.findall(r"^\[(\S+)\]: (\S+)$", README, re.M))
    used = set(re.findall(r"\]\[(\w+)\]", README))
    assert used == set(links)
    assert "](" not in README.replace("](https://", "")
    for link in links.values():
        assert link.startswith("https://")
        if path := re.search(r"github\.com/neuroasync/neuroasync/(?:blob|raw)/main/(.+)", link):
            assert (ROOT / path[1]).exists()
        if page := re.search(r"readthedocs\.io/en/latest/(.+)/", link):
            stem = ROOT / "docs" / page[1]
            assert stem.with_suffix(".md").exists() or (stem / "index.md").exists()


def test_both_commands_of_the_readme_set_up_an_environment():
    first, second = re.findall(r"```sh\n(.*?)\n```", README, re.S)
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert first.endswith(".venv/bin/neuroasync demo")
    assert second.endswith(".venv/bin/pytest -n auto --cov")
