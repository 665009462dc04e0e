"""The notebooks run from the first cell to the last."""

import ast
import asyncio
import inspect
import json

import pytest

from tests.helpers.paths import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def load(path):
    """Return the cells of a notebook."""
    return json.loads(path.read_text("utf-8"))["cells"]


async def run(cells):
    """Run the code of the cells as Jupyter does, where a cell may await."""
    names = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            code = compile("".join(cell["source"]), f"<cell {number}>", "exec", flags=flags)
            result = eval(code, names)
            if inspect.isawaitable(result):
                await result


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_output(path):
    for cell in load(path):
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def test_notebook_about_orders_shows_that_neurons_which_repeat_depend_less_on_the_order(
    tmp_path, monkeypatch, capsys
):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    asyncio.run(run(load(ROOT / "examples" / "explore_orders.ipynb")))
    lines = capsys.readouterr().out.splitlines()
    worst = [float(line.split("worst ")[1].split("%")[0]) for line in lines if "worst " in line]
    # The first is the shipped paper-like network.
    assert worst[0] == 9.2
    assert worst[2] > worst[1] + 20
    assert sum("lost charge" in line for line in lines) == 4


def test_notebook_shows_the_runs_of_a_study(tmp_path, monkeypatch, capsys):
    run_of_study = {
        "until": "quiet", "group_size": 8, "input": "prioritised", "policy": "fifo",
        "config": "digits-layered-0", "accuracy": 0.875,
    }  # fmt: skip
    folder = tmp_path / "neuroasync-study"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"runs": [run_of_study]}))
    monkeypatch.chdir(tmp_path)
    last = load(ROOT / "examples" / "explore_orders.ipynb")[-1]
    imports = "import json\nfrom pathlib import Path\n"
    exec(imports + "".join(last["source"]), {})
    assert capsys.readouterr().out.split() == ["digits-layered-0", "fifo", "87.5%", "right"]
