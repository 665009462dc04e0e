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


def test_token_bucket_gives_tokens_only_if_they_are_available():
    now_s = 0.0
    token_bucket = TokenBucket(2, lambda: now_s)
    assert [token_bucket.take_now() for _ in range(3)] == [True, True, False]
    assert token_bucket.take() == 0.5  # the attempt in vain took none
    now_s += 0.75
    assert not token_bucket.take_now()
    now_s += 0.25
    assert token_bucket.take_now()
    assert not token_bucket.take_now()
    token_bucket.give_back()
    assert token_bucket.take_now()
    now_s += 100
    assert [token_bucket.take_now() for _ in range(3)] == [True, True, False]
