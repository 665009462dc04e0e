"""The model of a data set on a cluster agrees with calculations by hand."""

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

from bench.cluster_model import Costs, data_set_s

FREE = Costs(0.0, 0.0, 0.0, 0.0)


def test_without_costs_a_worker_takes_the_sum_of_the_services():
    assert data_set_s([0.25, 0.5, 1.0, 0.25], FREE, 1, 2) == pytest.approx(2.0)


def test_a_single_sample_passes_each_queue_once():
    costs = Costs(start_s=1.0, task_s=0.5, send_s=0.25, receive_s=0.125)
    assert data_set_s([2.0], costs, 1, 2) == pytest.approx(1.0 + 0.25 + 0.5 + 2.0 + 0.125)


def test_the_program_sends_while_a_worker_decides():
    # Four chunks of one sample each, which takes 2 s. The second and the third are sent while the
    # first is decided, and only the first transfer and the last receipt are waited for.
    costs = Costs(0.0, 0.0, send_s=0.5, receive_s=0.25)
    assert data_set_s([2.0] * 4, costs, 1, 2) == pytest.approx(0.5 + 4 * 2.0 + 0.25)


def test_a_slow_program_limits_the_workers():
    # The program needs 1 s for a sample, so that eight workers of 2 s each are mostly idle.
    costs = Costs(0.0, 0.0, send_s=1.0, receive_s=0.0)
    assert data_set_s([2.0] * 20, costs, 8, 9) == pytest.approx(20 * 1.0 + 2.0)


def test_workers_and_program_share_the_cores():
    # Two workers on one core proceed at half the speed.
    assert data_set_s([2.0] * 4, FREE, 2, 1) == pytest.approx(8.0)
    assert data_set_s([2.0] * 4, FREE, 2, 2) == pytest.approx(4.0)


def test_an_empty_data_set_takes_the_start():
    assert data_set_s([], Costs(0.5, 1.0, 1.0, 1.0), 1, 1) == 0.5
