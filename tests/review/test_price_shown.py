"""What a review shows is what the market then charges: over 100 seeded markets, and never over a fleet's ceiling."""

from pathlib import Path

import pytest

from tests.doubles.shown_price import prices_on

MARKETS, BATCHES = 100, 5
MOST_OFF = 0.02


@pytest.mark.parametrize("batch", range(BATCHES))
def test_complaint_12_the_price_shown_is_charged_within_two_percent(batch: int, tmp_path: Path) -> None:
    rented = 0
    for seed in range(batch * MARKETS // BATCHES, (batch + 1) * MARKETS // BATCHES):
        found = prices_on(seed, tmp_path / str(seed))
        if found is None:
            continue
        assert found.charged is not None
        assert found.shown == pytest.approx(found.charged, rel=MOST_OFF), f"market {seed}"
        assert found.ceiling is not None
        assert found.charged <= found.ceiling + 1e-9, f"market {seed}"
        rented += 1
    assert rented >= MARKETS / BATCHES / 2
