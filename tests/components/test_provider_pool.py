"""Which provider an instance gets."""

from components.provider_pool import NAME, name_for


def test_one_provider_serves_all_where_a_process_can_be_widened() -> None:
    assert {name_for(instance, wide=True) for instance in range(100)} == {NAME}


def test_every_four_instances_have_one_of_their_own_where_it_cannot() -> None:
    names = [name_for(instance, wide=False) for instance in range(9)]
    assert [names.count(name) for name in dict.fromkeys(names)] == [4, 4, 1]
    assert NAME not in names
