from hypothesis import given
from hypothesis import strategies as st

from bootstrap.slow_download import FAR_LESS, Rates, store_to_blame

mbps = st.floats(0.01, 100_000)


@given(mbps, mbps, mbps, mbps | st.none())
def test_what_the_host_gets_from_elsewhere_decides_alone(host, least, elsewhere, here):
    blame = store_to_blame(Rates(host, least, elsewhere, here))
    assert bool(blame) == (elsewhere >= least)


@given(mbps, mbps, mbps)
def test_a_store_that_gives_this_machine_no_more_costs_no_machine(host, least, share):
    assert store_to_blame(Rates(host, least, None, min(host, share)))
    assert store_to_blame(Rates(host, least))


@given(mbps, mbps, st.floats(1.01, 1000))
def test_a_host_that_gets_far_less_than_this_machine_is_slow(host, least, times):
    assert store_to_blame(Rates(host, least, None, host * FAR_LESS * times)) == ""
