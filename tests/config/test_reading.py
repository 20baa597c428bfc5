"""Stack config: every mistake is one sentence that names the key, what is wrong, and what to do."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.base import path_of
from config.messages import ConfigError
from config.reading import load, own_values
from config.secret_keys import SECRETS, refusals
from config.stack import StackConfig

GOOD: dict[str, Any] = {
    "market": {"url": "http://127.0.0.1:1"},
    "store": {"endpoint": "http://127.0.0.1:2", "region": "fsn1", "bucket": "models"},
    "models": {"tiny": {"manifest": "models/tiny.json"}},
    "fleets": {"chat": {"replicas": 2, "model": "tiny", "gpu": {"name": "RTX 4090"}, "maxUsdPerHour": 0.5}},
}


def as_the_engine_passes(values: dict[str, Any]) -> dict[str, str]:
    """Return the values as the JSON texts that the engine hands to a program."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.json").write_text("{}")
    return tmp_path


def changed(path: str, value: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
    place = config
    for parent in parents:
        place = place[parent]
    place[last] = value
    return config


def read(values: dict[str, Any], project: Path) -> StackConfig:
    return load(as_the_engine_passes(values), project)


def test_good_config_is_read_with_defaults(project: Path) -> None:
    config = read(GOOD, project)

    assert config.fleets["chat"].gpu.name == ("RTX 4090",)
    assert config.fleets["chat"].verified is True
    assert config.store.on_destroy == "keep"
    assert config.limits.attempts == 3


def test_a_parked_fleet_is_fine(project: Path) -> None:
    assert read(changed("fleets.chat.replicas", 0), project).fleets["chat"].replicas == 0


@pytest.mark.parametrize(
    ("replicas", "without", "indexes"),
    [(4, [], (0, 1, 2, 3)), (4, [1], (0, 2, 3, 4)), (3, [0, 2, 2], (1, 3, 4)), (2, [7], (0, 1)), (0, [0], ())],
)
def test_retired_numbers_are_skipped_and_the_count_stays(
    project: Path, replicas: int, without: list[int], indexes: tuple[int, ...]
) -> None:
    fleet = GOOD["fleets"]["chat"] | {"replicas": replicas, "without": without}

    assert read(changed("fleets.chat", fleet), project).fleets["chat"].indexes == indexes


def test_bounds_make_a_fleet_elastic_and_give_it_no_number_of_its_own(project: Path) -> None:
    fleet = read(changed("fleets.chat.replicas", {"max": 4, "idleSeconds": 60}), project).fleets["chat"]

    assert fleet.elastic is not None
    assert (fleet.elastic.min, fleet.elastic.max, fleet.elastic.idle_seconds) == (0, 4, 60)
    assert (fleet.indexes, fleet.most, fleet.lease_minutes) == ((), 4, 15)


def test_what_is_dumped_of_a_fleet_is_read_again_without_a_warning(
    project: Path, recwarn: pytest.WarningsRecorder
) -> None:
    for replicas in (3, {"max": 4, "idleSeconds": 60}):
        config = read(changed("fleets.chat.replicas", replicas), project)
        for left_out in (False, True):
            dumped = config.model_dump(by_alias=True, mode="json", exclude_defaults=left_out)
            assert StackConfig.model_validate(dumped) == config
        assert dumped["fleets"]["chat"]["replicas"] == replicas
    assert [str(one.message) for one in recwarn] == []


def test_a_number_of_replicas_stays_a_fixed_fleet_without_a_lease(project: Path) -> None:
    fleet = read(GOOD, project).fleets["chat"]

    assert (fleet.elastic, fleet.replicas, fleet.most, fleet.lease_minutes) == (None, 2, 2, None)


@given(least=st.integers(0, 500), most=st.integers(0, 500))
def test_bounds_are_taken_in_order_only(least: int, most: int) -> None:
    values = changed("fleets.chat.replicas", {"min": least, "max": most})
    if least > most:
        with pytest.raises(ConfigError, match=r"fleets\.chat\.replicas .*min is \d+, which is more than max"):
            load(as_the_engine_passes(values), None)
    else:
        elastic = load(as_the_engine_passes(values), None).fleets["chat"].elastic
        assert elastic is not None
        assert (elastic.min, elastic.max) == (least, most)


def test_a_client_has_scopes_and_limits(project: Path) -> None:
    clients = read({**GOOD, "clients": {"team-a": {"maxInstances": 3}}}, project).clients

    assert clients["team-a"].scopes == ("provision", "read")
    assert clients["team-a"].max_instances == 3


@pytest.mark.parametrize(
    ("value", "replicas", "most"), [(1, 6, 1), ("2", 6, 2), ("25%", 8, 2), ("25%", 3, 1), ("100%", 6, 6), (9, 6, 9)]
)
def test_a_share_of_the_replicas_may_be_down_and_one_at_least(
    project: Path, value: Any, replicas: int, most: int
) -> None:
    fleet = read(changed("fleets.chat.rollout", {"maxUnavailable": value}), project).fleets["chat"]

    assert fleet.rollout.most_down(replicas) == most


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("fleets.chat.rollout", {"maxUnavailable": 0}, "a number of instances such as 1, or a share such as 25%"),
        ("fleets.chat.rollout", {"maxUnavailable": "150%"}, "fleets.chat.rollout.maxUnavailable is '150%'"),
        ("fleets.chat.replicas", {"min": 1}, "gpu-fleet:fleets.chat.replicas.max is missing"),
        (
            "fleets.chat.replicas",
            {"max": 1, "mni": 1},
            "fleets.chat.replicas.mni is not a known key; did you mean min?",
        ),
        (
            "fleets.chat",
            GOOD["fleets"]["chat"] | {"replicas": {"max": 2}, "without": [1]},
            "without is for a fleet with a number of replicas",
        ),
        ("clients", {"Team A": {}}, 'gpu-fleet:clients["Team A"]: a client\'s name is lower-case letters'),
        ("clients", {"a": {"scopes": ["all"]}}, "gpu-fleet:clients.a.scopes.0 is 'all'"),
        ("controller", {"backend": "s3://key:secret@bucket"}, "gpu-fleet:controller.backend is"),
        ("fleets.chat.without", [-1], "-1 is no number of an instance; chat-1 has the number 1"),
        ("fleet", {}, "gpu-fleet:fleet is not a known key; did you mean gpu-fleet:fleets?"),
        (
            "fleets.chat.replica",
            1,
            "gpu-fleet:fleets.chat.replica is not a known key; did you mean replicas?",
        ),
        ("fleets.chat.gpu.nmae", 1, "did you mean name?"),
        (
            "fleets.chat.replicas",
            -1,
            "gpu-fleet:fleets.chat.replicas is -1: input should be greater than or equal to 0",
        ),
        (
            "fleets.chat.replicas",
            "two",
            "gpu-fleet:fleets.chat.replicas is 'two': input should be a valid integer",
        ),
        (
            "fleets.chat.maxUsdPerHour",
            0,
            "gpu-fleet:fleets.chat.maxUsdPerHour is 0: input should be greater than 0",
        ),
        (
            "fleets.chat.model",
            "huge",
            "gpu-fleet:fleets.chat.model is 'huge', which gpu-fleet:models does not name",
        ),
        ("fleets.chat.vllmArguments", ["--port", "9"], "--port"),
        ("models.tiny.manifest", "models/none.json", "there is no such file in the project"),
        (
            "models.tiny.comparedWith",
            ["openai/gtp-4o-mini"],
            "gpu-fleet:models.tiny.comparedWith: 'openai/gtp-4o-mini' has no list price; did you mean openai/gpt-4o-mini?",
        ),
        (
            "fleets.Chat!",
            GOOD["fleets"]["chat"],
            "a fleet's name is lower-case letters, digits and single dashes",
        ),
        ("store.onDestroy", "burn", "gpu-fleet:store.onDestroy is 'burn'"),
        ("limits", "many", "gpu-fleet:limits must be a structured value"),
    ],
)
def test_each_mistake_is_one_sentence(project: Path, path: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(changed(path, value), project)

    assert says in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_missing_section_names_the_command(project: Path) -> None:
    config = {key: value for key, value in GOOD.items() if key != "store"}

    with pytest.raises(ConfigError, match="gpu-fleet:store is missing; set it with: pulumi config set"):
        read(config, project)


def test_several_mistakes_are_all_told(project: Path) -> None:
    config = changed("fleets.chat.replicas", -1)
    config["fleets"]["chat"]["maxUsdPerHour"] = 0

    with pytest.raises(ConfigError) as raised:
        read(config, project)

    assert "replicas" in str(raised.value)
    assert "maxUsdPerHour" in str(raised.value)


def test_missing_secrets_name_the_exact_command() -> None:
    sentences = refusals({"vastApiKey"}, SECRETS, "https://console.vast.ai", "my own")

    assert len(sentences) == len(SECRETS) - 1
    assert any("pulumi config set --secret gpu-fleet:storeSecretKey" in sentence for sentence in sentences)


def test_reporting_needs_a_key_and_nothing_else_does() -> None:
    [told] = refusals(set(SECRETS), [*SECRETS, "metricsKey"], "http://127.0.0.1:18801", "sandbox")
    assert told.startswith("gpu-fleet:metricsKey is not set.")
    assert told.endswith("Set it with: pulumi config set --secret gpu-fleet:metricsKey")
    own = own_values({"gpu-fleet:metrics": "{}", "gpu-fleet:metricsKey": "", "gpu-fleet:store": "x", "aws:region": "y"})
    assert own == {"store": "x"}


@pytest.mark.parametrize(
    "url", ["http://door.example", "https://door.example/api/v1/write", "door.example", "https://"]
)
def test_the_door_is_an_https_url_without_a_path(project: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"gpu-fleet:metrics.url is"):
        read({**GOOD, "metrics": {"url": url}}, project)


def test_a_budget_in_another_currency_is_refused_with_the_key_that_is_meant(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"budget.eurPerDay is not a known key; did you mean usdPerDay\?"):
        read({**GOOD, "budget": {"eurPerDay": 5}}, project)
    with pytest.raises(ConfigError, match=r"budget.usdPerMonth is '5 EUR'"):
        read({**GOOD, "budget": {"usdPerMonth": "5 EUR"}}, project)


def test_the_sandboxs_passphrase_is_refused_on_a_real_market() -> None:
    assert refusals(set(SECRETS), SECRETS, "http://127.0.0.1:18801", "sandbox") == []
    assert refusals(set(SECRETS), SECRETS, "https://console.vast.ai", "my own") == []
    assert "everybody knows" in refusals(set(SECRETS), SECRETS, "https://console.vast.ai", "sandbox")[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["market", "store", "models", "fleets", "limits", "rotation", "x"]), json_values)
)
def test_whatever_is_written_there_the_answer_is_config_or_a_config_error(values: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(load(as_the_engine_passes(values), Path("/nonexistent")), StackConfig)


def test_paths_of_names_with_dots_and_slashes_work_when_pasted() -> None:
    assert path_of("models", "tiny", "manifest") == "gpu-fleet:models.tiny.manifest"
    assert path_of("models", "Qwen/Qwen2.5-7B:fp8", "manifest") == 'gpu-fleet:models["Qwen/Qwen2.5-7B:fp8"].manifest'
