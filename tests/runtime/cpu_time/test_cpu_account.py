"""An account knows what its sample has used, and which session has used less lately."""

import math

import pytest

from neuroasync import CpuTimeLimitError
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount, check_max_cpu


def test_rank_orders_accounts_by_what_they_used(clock):
    new, light, heavy = (CpuAccount() for _ in range(3))
    light.charge(0.001)
    for _ in range(3):
        heavy.charge(0.001)
    assert new.rank() == -math.inf
    assert light.rank() < heavy.rank()


def test_old_use_counts_half_after_five_seconds(clock):
    old, recent = CpuAccount(), CpuAccount()
    old.charge(1.0)
    clock.now += 5
    recent.charge(0.501)
    assert old.rank() < recent.rank()
    recent = CpuAccount()
    recent.charge(0.499)
    assert old.rank() > recent.rank()


def test_rank_does_not_change_with_time(clock):
    account = CpuAccount()
    account.charge(0.25)
    rank = account.rank()
    clock.now += 1e6
    assert account.rank() == rank


def test_sample_that_uses_too_much_is_refused_and_the_next_one_counts_anew(clock):
    account = CpuAccount(0.01)
    account.charge(0.009)
    with pytest.raises(
        CpuTimeLimitError, match=r"^the sample used more than 0\.01 s of CPU time; s"
    ):
        account.charge(0.002)
    account.begin_sample()
    account.charge(0.01)


@pytest.mark.parametrize("value", [0, -1, math.nan, "1s", True, None])
def test_maximum_must_be_a_number_above_zero_or_none(value):
    if value is None:
        assert check_max_cpu(value) == math.inf
    else:
        with pytest.raises(ValueError, match="`max_cpu_s` must be a number above 0, or None, got"):
            check_max_cpu(value)
