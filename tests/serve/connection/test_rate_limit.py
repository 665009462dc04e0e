"""The token bucket limits the average rate and allows a burst."""

from neuroasync.serve.connection.rate_limit import TokenBucket


def test_token_bucket_allows_a_burst_of_one_second_and_then_the_average_rate():
    now_s = 7.0
    token_bucket = TokenBucket(4, lambda: now_s)
    assert [token_bucket.take() for _ in range(4)] == [0.0] * 4
    assert token_bucket.take() == 0.25
    now_s += 0.25
    assert token_bucket.take() == 0.25
    now_s += 100
    assert [token_bucket.take() for _ in range(5)] == [0.0] * 4 + [0.25]


def test_token_bucket_supports_rates_below_one_per_second():
    now_s = 0.0
    token_bucket = TokenBucket(0.5, lambda: now_s)
    assert token_bucket.take() == 0.0
    assert token_bucket.take() == 2.0
