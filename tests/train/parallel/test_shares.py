"""Workers divide the chunks of a batch in order, and sum their gradients in that order."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.train.parallel.shares import add_and_clear, complete, shares_of, sum_in_order
from tests.helpers.thread_exchange import in_threads


@given(st.integers(0, 300), st.integers(1, 8))
def test_shares_are_all_chunks_in_order_whatever_the_number_of_workers(samples, workers):
    (alone,) = shares_of(samples, 8, 1)
    shares = shares_of(samples, 8, workers)
    assert len(shares) == workers
    assert [chunk for share in shares for chunk in share] == alone
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [k for chunk in alone for k in range(samples)[chunk]] == list(range(samples))
    assert all(one.stop == other.start for one, other in pairwise(alone))


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_gradients_are_summed_in_the_order_of_the_chunks(workers):
    # In another order, the large numbers would swallow the small ones in between.
    values = np.array([1, 1e8, -1e8, 3, 1e-8, 2e8, -2e8, 0.25], np.float32)
    gradients = [(np.full(5, value), np.full((3, 0), value)) for value in values]
    expected = np.zeros(5, np.float32)
    for gradient, _ in gradients:
        expected += gradient
    assert expected[0] not in (values.sum(dtype=np.float64), values[::-1].cumsum()[-1])

    def work(exchange):
        totals = np.zeros(5, np.float32), np.zeros((3, 0), np.float32)
        at = [len(values) * k // workers for k in range(workers + 1)]
        of_worker = gradients[at[exchange.worker] : at[exchange.worker + 1]]
        sum_in_order(exchange, totals, of_worker)
        return totals[0], exchange.messages

    for total, messages in in_threads(workers, work):
        assert np.array_equal(total, expected)
        assert messages == [2] * workers


def test_addition_clears_the_gradient_of_a_chunk_for_the_next_one():
    totals, gradient = (np.ones(2, np.float32),), (np.array([1, -1], np.float32),)
    add_and_clear(totals, gradient)
    assert totals[0].tolist() == [2, 0]
    assert gradient[0].tolist() == [0, 0]


@given(st.integers(0, 20), st.integers(1, 4))
def test_each_worker_gets_the_results_of_all_samples(samples, workers):
    labels = np.arange(samples)
    votes = np.random.default_rng(samples).random((samples, 3, 2)).astype(np.float32)
    nothing = np.zeros((samples, 3, 0), np.float32)

    def work(exchange):
        shares = shares_of(samples, 8, workers)
        results = [np.zeros_like(array) for array in (labels, votes, nothing)]
        for chunk in shares[exchange.worker]:
            results[0][chunk], results[1][chunk] = labels[chunk], votes[chunk]
        assert complete(exchange, shares, results, None) is None
        return results

    for found in in_threads(workers, work):
        assert np.array_equal(found[0], labels)
        assert np.array_equal(found[1], votes)


def test_each_worker_learns_of_the_first_pass_that_did_not_end():
    places = [None, (3, 1, -1), None, (6, 0, 2)]

    def work(exchange):
        return complete(exchange, shares_of(8, 8, 4), [np.zeros(8)], places[exchange.worker])

    assert in_threads(4, work) == [(3, 1, -1)] * 4
