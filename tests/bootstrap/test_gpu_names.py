"""Wishes in any spelling mean the market's cards, and nvidia-smi's names are compared in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.gpu_names import CARDS, all_market_names, is_known, market_names, near_names, shows


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ("RTX_4090", ("RTX 4090",)),
        ("rtx 4090", ("RTX 4090",)),
        ("RTX4090", ("RTX 4090",)),
        ("4090", ("RTX 4090",)),
        ("NVIDIA GeForce RTX 4090", ("RTX 4090",)),
        ("RTX 4080 SUPER", ("RTX 4080S",)),
        ("RTX 4070 Ti Super", ("RTX 4070S Ti",)),
        ("RTX 4070 Super Ti", ("RTX 4070S Ti",)),
        ("RTX 6000 Ada", ("RTX 6000Ada",)),
        ("l40s", ("L40S",)),
        ("A6000", ("RTX A6000",)),
        ("H100", ("H100 SXM", "H100 PCIE", "H100 NVL")),
        ("h100 sxm5", ("H100 SXM",)),
        ("A100", ("A100 SXM4", "A100 PCIE")),
        ("rtx pro 6000", ("RTX PRO 6000 WS", "RTX PRO 6000 S", "RTX PRO 6000 Max-Q")),
        ("T4", ("Tesla T4",)),
    ],
)
def test_a_wish_in_any_spelling_means_the_markets_cards(wish: str, names: tuple[str, ...]) -> None:
    assert market_names(wish) == names


@given(st.sampled_from(sorted(CARDS)), st.sampled_from([" ", "_", "-", ""]), st.booleans())
def test_case_and_separators_do_not_matter(name: str, separator: str, lower: bool) -> None:
    written = name.replace(" ", separator)

    assert market_names(written.lower() if lower else written) == market_names(name)
    assert name in market_names(name)


def test_what_is_not_known_goes_to_the_market_as_written_and_has_near_names() -> None:
    assert market_names("RTX_9999") == ("RTX 9999",)
    assert not is_known("RTX_9999")
    assert "RTX 4090" in near_names("RTX 4O90")
    assert not is_known("RTX 6000")  # Quadro, Ada or Blackwell: nobody knows which is meant
    assert "RTX 6000Ada" in near_names("RTX 6000", shown=5)


def test_families_do_not_name_a_card_twice() -> None:
    assert all_market_names(["H100 SXM", "H100", "h100_sxm"]) == ("H100 SXM", "H100 PCIE", "H100 NVL")


@pytest.mark.parametrize(
    ("wish", "driver"),
    [
        ("RTX 4080S", "NVIDIA GeForce RTX 4080 SUPER"),
        ("RTX 4070S Ti", "NVIDIA GeForce RTX 4070 Ti SUPER"),
        ("RTX 4090D", "NVIDIA GeForce RTX 4090 D"),
        ("RTX 4500Ada", "NVIDIA RTX 4500 Ada Generation"),
        ("H100", "NVIDIA H100 PCIe"),
        ("A100 PCIE", "NVIDIA A100-PCIE-40GB"),
        ("Tesla V100", "Tesla V100-SXM2-16GB"),
        ("Tesla T4", "NVIDIA Tesla T4"),
    ],
)
def test_the_rented_card_is_not_refused(wish: str, driver: str) -> None:
    assert shows(wish, driver) is True


@pytest.mark.parametrize(
    ("wish", "driver"),
    [
        ("RTX 6000Ada", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
        ("RTX 6000Ada", "Quadro RTX 6000"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090 D"),
        ("RTX 4070 Ti", "NVIDIA GeForce RTX 4070"),
        ("RTX 4070", "NVIDIA GeForce RTX 4070 Ti"),
        ("H100 SXM", "NVIDIA H100 PCIe"),
        ("H100 PCIE", "NVIDIA H100 80GB HBM3"),
        ("A100 SXM4", "NVIDIA A100 80GB PCIe"),
        ("RTX 4090", "NVIDIA Graphics Device"),
        ("RTX 9999", "NVIDIA GeForce RTX 4090"),
    ],
)
def test_another_card_is_refused(wish: str, driver: str) -> None:
    assert shows(wish, driver) is False


def test_two_names_that_are_not_known_are_neither_the_same_nor_different() -> None:
    assert shows("RTX 9999", "NVIDIA GeForce RTX 9999") is None
