"""The figures on the README, the start page and the quickstart are those of a new run."""

import json
import re

import pytest
from typer.testing import CliRunner

from neuroasync.cli.app import app
from tests.helpers.paths import ROOT

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/index.md")}
ASSETS = ROOT / "docs" / "assets"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Return what the demo prints on a page of 80 columns."""
    folder = tmp_path_factory.mktemp("demo")
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["demo", "--out", str(folder)])
    assert result.exit_code == 0
    return result.stdout


def prose(page):
    """Return the text of a page without blocks of code, on one line."""
    return " ".join(re.sub(r"```.*?```", "", page, flags=re.S).split())


def test_table_in_the_readme_is_what_the_demo_prints(output):
    blocks = re.findall(r"```text\n(.*?)```", PAGES["README.md"], re.S)
    (block,) = [block for block in blocks if "Verdict" in block]
    assert block in output


@pytest.mark.parametrize("name", PAGES)
def test_sentences_state_the_figures_of_the_verdict(name, output):
    verdict = output[output.index("Verdict") :]
    robust = r"layered to unlayered: (\d+ % fewer rounds), still (\d+ %) right \(queued: (\d+ %)\)"
    fewer, right, queued = re.search(robust, verdict).groups()
    fragile = r"layered-paper: (\d+ % more rounds), (\d+ %) right, not (\d+ %) "
    more, without, layers = re.search(fragile, verdict).groups()
    both = r"layered-paper sync to unlayered async: (\d+ % fewer rounds), (\d+ % fewer spikes)\."
    rounds, spikes = re.search(both, verdict).groups()
    text = prose(PAGES[name])
    assert f"needs {fewer} than `layered`" in text
    assert f"({queued} if the input queues)" in text
    assert f"both are right in {right} of the digits" in text
    assert f"it needs {rounds} and {spikes}" in text
    assert f"needs {more} and is right in {without} of the digits instead of {layers}" in text
    # There are no other figures than these, and those of the next test.
    assert len(re.findall(r"\d %", text)) == 11


@pytest.mark.parametrize("name", PAGES)
def test_means_over_the_run_modes_are_those_of_the_page_of_variants(name):
    page = (ROOT / "docs" / "results" / "variants.md").read_text("utf-8")
    row = r"^\| Braille \| `(\S+?)`(?:, twice the epochs)? \| (\d\S+) \|"
    # `unlayered-any` takes twice the epochs, so others that were trained as long count as well.
    means: dict[str, float] = {}
    for training, mean in re.findall(row, page, re.M):
        means[training] = max(means.get(training, 0), float(mean))
    any_order, layered = means.pop("unlayered-any"), means.pop("layered")
    text = prose(PAGES[name])
    assert len(means) == 2
    assert f"its mean accuracy over 19 run modes is {any_order} %." in text
    best = max(means.values())
    assert f"The best network for one order has {best} %, and `layered` has {layered} %." in text


def test_picture_shows_the_runs_of_today_and_is_described_in_words():
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    from tools.benefit_picture import description, example

    described = description(example())
    for name in ("benefit-light.png", "benefit-dark.png"):
        with image.open(ASSETS / name) as picture:
            assert picture.text["Description"] == described
    assert f'alt="{described}"' in PAGES["README.md"]
    assert PAGES["docs/index.md"].count(f"![{described}](assets/benefit-") == 2


def test_quickstart_takes_its_figures_from_a_run():
    text = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    assert "<!-- demo: story -->" in text
    assert re.findall(r"\d+(?:\.\d+)? (?:%|rounds|spikes)", prose(text)) == []


def test_page_of_the_demo_states_figures_of_its_rows():
    result = CliRunner().invoke(app, ["demo", "--all", "--json"])
    rows = json.loads(result.stdout)["runs"]
    known = {f"{100 * row['accuracy']:.1f}" for row in rows}
    known |= {f"{row['rounds_per_sample']:.1f}" for row in rows}
    page = (ROOT / "docs" / "results" / "demo.md").read_text("utf-8")
    shown = page[page.index("- **The problem.**") : page.index("For comparison")]
    assert set(re.findall(r"\d+\.\d", shown)) <= known
