"""The programs of the documentation run, and print what the pages say."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.helpers.paths import ROOT

EXAMPLES = ROOT / "docs" / "examples"
DECISION = r'\{"sample":\d,"label":\d,"class_name":"\d","votes":\[.*\],.*"final":true\}\n'
EXPECTED = {
    "bring_network.py": r"(3[56]\d) of 360 samples give the same spikes in every layer .*\n(.*\n)+"
    r"((layer-sync|random|momentum|fifo) +F=\d 9\d\.\d% imported, 9\d\.\d% fine-tuned\n){8}",
    "augmentation.py": r"\d+ of \d+ events\n",
    "calibrate.py": r"promised 90 %, at most \d\.\d points lower\n"
    r"test: (89|9\d)\.\d% right after \d\.\d rounds\n",
    "camera_array.py": r"((\d|None) \[.*\]\n){7}3330 events, 0 outside\n",
    "carry_state.py": r"from rest:    \[1, 1\]\ncarried over: \[1, 2\]\n",
    "choose_order.py": r"order .*\n((layer-sync|random|momentum) .*\n){12}",
    "cluster.py": r"97\.\d% of 360 are right\nthe same decisions: True\n",
    "cluster_dataset.py": r"0 5 \[.*\] 5\n(\d \d \[.*\] \d+\n){2}9\d\.\d% are right\n",
    "custom_policy.py": r"fifo: \d\d of 40 right\nnewest-first: \d\d of 40 right\n",
    "custom_population.py": r"\d with the last vote at [0-4]000 µs\n",
    "data_sets.py": r"\('0', .* 10000\n50 180 180\n",
    "decide_on_gpu.py": r"9\d\.\d% right after \d+ rounds\n",
    "every_order.py": r"((layer-sync|random|fifo) .*% right\n){6}22 orders: worst 9\d%, mean .*%\n"
    r"right in every order: 9\d%\n",
    "fine_tune.py": r"9\d% of the validation samples are right\n",
    "first_network.py": r"left \{'hidden': 2, 'output': 1\}\noutput\[0\] fired(.|\n)*",
    "interchange_nir.py": r"the same bundle: True\n100 µs, LIF\(tau_mem_us=1949\..*subtract'\)\n",
    "labels_over_time.py": r"(\S+: 8\d\.\d% of the intervals are right, 8\d\.\d% .* 20 ms\n){2}"
    r"(.*QRS \(\d+% sure\) rest .*)\n",
    "learn_neurons.py": r"((hidden|output): time constants from \d+ to \d+ µs\n){2}",
    "live_stream.py": r"(\w+ after \d+ rounds\n){5}Counts\(events=\d+, refused=0, .*\)\n",
    "log_training.py": r"(epoch \d: loss \d\.\d+\n){3}",
    "measure.py": r"at the end: 97\.2%\nfirst-spike: .*\nmargin\(3\): 95\.8% after 7\.1 rounds\n"
    r"about .* pJ on Loihi.*\n",
    "move_session.py": r"\d+ bytes\nsame decision: True\n",
    "neurobench_harness.py": r"Footprint 57672\nParameterCount 14208\nConnectionSparsity 0.0\n"
    r"ClassificationAccuracy 0\.97\d+\nActivationSparsity 0\.903\d+\nSynapticOperations .*\n"
    r"MembraneUpdates \d+\.\d+\n",
    "order_dependence.py": r"(layered-paper +(layer-sync|random) .*, \d+% lost\n){2}"
    r"(unlayered +(layer-sync|random) +9\d% right, 3\d% inhibitory, [01]% lost\n){2}",
    "own_events.py": r"<SpikeTrain: 3 events, .*>\n<SpikeTrains: 2 samples .*>\n",
    "own_loop.py": r"(epoch \d: \d+%, \d+ spikes\n){5}epoch 5: (8|9)\d%, \d+ spikes\n",
    "quickstart.py": r"\d after \d+ rounds\n(\d \[.*\]\n){5}",
    "readme.py": r"(\d after \d+ rounds \[.*\]\n){5}",
    "record_replay_explain.py": r"replayed 721 spikes, all of them equal\noutput\[5\](.|\n)*",
    "train_on_cluster.py": r"the same bundle: True\n",
    "serve_on_cluster.py": r"\[(\d, ){19}\d\]\nthe same votes: True\n",
    "train_your_data.py": r"(9\d|100)% of 100 test samples are right\n",
    "udp_gateway.py": rf"({DECISION}){{3}}",
    "under_stress.py": r"no stress .* right, .* rounds\n((input|weight|jitter).* rounds\n){6}",
    "values.py": r"<SpikeTrain: 3 events, .* values -1 to 0.5>\n\[ 3\.5   0\.25 -2\.  \]\n"
    r"9\d% of the test images are right\n",
    "watch.py": r"(\d leads after \d+ rounds\n)+\d decided after \d+ rounds\n",
    "websocket_client.py": DECISION,
}


def run(path, folder):
    """Run a program in a folder, and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        # The package is found wherever the tests found it, although the folder is elsewhere.
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


NEEDS = {
    "bring_network.py": "snntorch",
    "cluster.py": "ray",
    "cluster_dataset.py": "ray",
    "interchange_nir.py": "nir",
    "neurobench_harness.py": "neurobench",
    "train_on_cluster.py": "ray",
    "serve_on_cluster.py": "ray",
}
"""Packages that an example needs and that may not be installed."""


def test_every_example_of_the_documentation_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs_in_an_empty_folder_and_prints_the_expected_output(name, tmp_path):
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    assert re.fullmatch(EXPECTED[name], run(EXAMPLES / name, tmp_path))
