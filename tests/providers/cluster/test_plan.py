"""What is done on the cluster's server, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.cluster import K3sConfig
from providers.cluster.plan import ServerFacts, Step, Wanted, newest, steps, upgrade_problem

OLD = K3sConfig(version="v1.34.2+k3s1", sha256="a" * 64)
NEW = K3sConfig(version="v1.35.0+k3s1", sha256="b" * 64)
WANTED = Wanted(OLD, config="c", password="p", login="ssh-ed25519 mine")
FRESH = ServerFacts(prepared=True, binary=OLD.sha256, login=(WANTED.login,))
SERVING = ServerFacts(
    prepared=True, binary=OLD.sha256, config="c", password="p", data=True, active=True, login=(WANTED.login,)
)
facts = st.builds(
    ServerFacts,
    prepared=st.just(True),
    binary=st.sampled_from(["", OLD.sha256, NEW.sha256]),
    config=st.sampled_from(["", "c", "other"]),
    password=st.sampled_from(["", "p"]),
    data=st.booleans(),
    active=st.booleans(),
    login=st.sampled_from([(), (WANTED.login,), (WANTED.login, "ssh-ed25519 another")]),
)


def test_a_new_server_starts_empty_or_with_the_last_snapshot() -> None:
    assert steps(FRESH, WANTED, has_snapshot=False) == (Step.CONFIGURE, Step.START)
    assert steps(FRESH, WANTED, has_snapshot=True) == (Step.CONFIGURE, Step.RESTORE, Step.START)


def test_a_server_as_wanted_is_left_alone() -> None:
    assert steps(SERVING, WANTED, has_snapshot=True) == ()


def test_an_upgrade_takes_a_snapshot_first() -> None:
    wanted = Wanted(NEW, "c", "p", WANTED.login)

    assert steps(SERVING, wanted, has_snapshot=False) == (Step.SNAPSHOT, Step.FETCH, Step.RESTART)
    stopped = SERVING.model_copy(update={"active": False})
    assert steps(stopped, wanted, has_snapshot=False) == (Step.START, Step.SNAPSHOT, Step.FETCH, Step.RESTART)


@given(facts, st.booleans())
def test_no_history_of_a_server_loses_data_or_leaves_it_off(found: ServerFacts, has_snapshot: bool) -> None:
    planned = steps(found, WANTED, has_snapshot=has_snapshot)

    assert Step.RESTORE not in planned or not found.data
    if Step.FETCH in planned and found.data:
        assert planned.index(Step.SNAPSHOT) < planned.index(Step.FETCH)
        assert found.active or planned.index(Step.START) < planned.index(Step.SNAPSHOT)
    if Step.RESTORE in planned and Step.CONFIGURE in planned:
        assert planned.index(Step.CONFIGURE) < planned.index(Step.RESTORE)
    assert found.active or planned[-1] in {Step.START, Step.RESTART}
    after = ServerFacts(
        prepared=True,
        binary=OLD.sha256,
        config="c",
        password="p",
        data=True,
        active=True,
        login=(WANTED.login,) if Step.AUTHORIZE in planned else found.login,
    )
    assert steps(after, WANTED, has_snapshot=has_snapshot) == ()


@pytest.mark.parametrize(
    ("version", "sha256", "said"),
    [
        ("v1.34.2+k3s1", "a" * 64, ""),
        ("v1.34.3+k3s1", "b" * 64, ""),
        ("v1.35.9+k3s2", "b" * 64, ""),
        ("v1.34.2+k3s1", "b" * 64, ""),
        ("v1.36.0+k3s1", "b" * 64, "passes over no minor version; go to v1.35 first"),
        ("v1.34.1+k3s9", "b" * 64, "k3s does not go back"),
        ("v1.33.9+k3s1", "b" * 64, "k3s does not go back"),
        ("v1.34.2+k3s2", "a" * 64, "sha256 is still that of v1.34.2+k3s1"),
    ],
)
def test_an_upgrade_goes_forward_by_one_minor_version_at_most(version: str, sha256: str, said: str) -> None:
    problem = upgrade_problem(OLD, K3sConfig(version=version, sha256=sha256))

    assert said in problem
    assert bool(problem) == bool(said)
    assert upgrade_problem(None, K3sConfig(version=version, sha256=sha256)) == ""


names = st.text("abc-123.", min_size=1, max_size=8)


@given(st.dictionaries(names, st.floats(0, 1e9), max_size=6), st.dictionaries(names, st.floats(2e9, 3e9), max_size=3))
def test_the_newest_snapshot_of_this_cluster_is_taken(own: dict[str, float], others: dict[str, float]) -> None:
    folder = "cluster/abc"
    rows = {f"{folder}/{name}": at for name, at in own.items()}
    rows |= {f"{folder}/.metadata/{name}": at for name, at in others.items()}
    rows |= {f"{folder}x/{name}": at for name, at in others.items()}
    rows |= {f"cluster/{name}": at for name, at in others.items()}

    found = newest(rows, folder)

    assert found == "" if not own else own[found] == max(own.values())
