"""Each edit has the verdict of the rules of `up`, with the keys of config that cause it."""

from typing import Any

import pytest

from review.report import Action, Cause
from tests.doubles.reviewed_repository import SCRIPT, SECURE, Repository
from tests.doubles.reviewing import PHASES, STANDING, actions, instance, judged, keys


def test_nothing_changes_without_an_edit(repository: Repository) -> None:
    base = repository.commit()
    for standing in (STANDING, None):
        found = judged(repository, base, standing)
        assert actions(found) == {"chat-0": "unchanged", "chat-1": "unchanged", "batch-0": "unchanged"}
        assert all(one.because == () and one.down_seconds == 0.0 for one in found.values())


def test_more_replicas_are_rented_and_fewer_given_back(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.replicas", 4)
    found = judged(repository, base)
    assert actions(found) == {
        "chat-0": "unchanged", "chat-1": "unchanged", "chat-2": "rented", "chat-3": "rented", "batch-0": "unchanged",
    }  # fmt: skip
    assert found["chat-2"].because == (Cause(key="replicas", old="2", new="4"),)

    repository.set("fleets.chat.replicas", 1)
    found = judged(repository, base)
    assert actions(found) == {"chat-0": "unchanged", "chat-1": "given back", "batch-0": "unchanged"}
    assert found["chat-1"].usd_per_hour.now == 0.34


def test_a_parked_fleet_is_given_back_and_comes_again(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.replicas", 0)
    parked = repository.commit()
    assert actions(judged(repository, base))["chat-1"] == "given back"
    repository.set("fleets.chat.replicas", 1)
    assert actions(judged(repository, parked, None))["chat-0"] == "rented"
    assert actions(judged(repository, parked))["chat-0"] == "unchanged"  # the parking is not applied yet


def test_without_retires_a_number_and_takes_the_next(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.without", [0])
    found = judged(repository, base)

    assert actions(found) == {
        "chat-0": "given back", "chat-1": "unchanged", "chat-2": "rented", "batch-0": "unchanged",
    }  # fmt: skip
    assert keys(found["chat-0"]) == keys(found["chat-2"]) == ["without"]


def test_a_renamed_fleet_is_given_back_and_rented_anew(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.talk", repository.config["fleets"]["chat"])
    repository.set("fleets.chat", None)
    found = judged(repository, base)

    assert actions(found) == {
        "talk-0": "rented", "talk-1": "rented", "batch-0": "unchanged", "chat-0": "given back", "chat-1": "given back",
    }  # fmt: skip
    assert found["chat-0"].because == (Cause(key="fleets.chat", old="a fleet of 2", new=None),)
    assert found["talk-0"].because == (Cause(key="fleets.talk", old=None, new="a fleet of 2"),)


def test_a_larger_model_replaces_because_of_the_disk_that_it_needs_and_says_so(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.model", "large")
    repository.set("fleets.batch.model", "large")
    found = judged(repository, base)

    assert found["chat-0"].action is Action.ANOTHER_MACHINE
    assert found["chat-0"].because == (
        Cause(key="diskGb", old="18 by the model's size", new="48 by the model's size"),
        Cause(key="model", old="small", new="large"),
    )
    assert found["chat-0"].down_seconds == sum(PHASES.values())
    assert found["batch-0"].action is Action.IN_PLACE
    assert found["batch-0"].because == (Cause(key="model", old="small", new="large"),)
    assert found["batch-0"].down_seconds == 42.0
    assert found["batch-0"].down_why == "while vLLM restarts"


def test_another_gpu_replaces_only_what_does_not_have_it(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.gpu.name", "RTX 3090")
    repository.set("fleets.batch.gpu.name", "RTX 4090")
    found = judged(repository, base)

    assert actions(found) == {"chat-0": "another machine", "chat-1": "another machine", "batch-0": "recorded"}
    assert found["chat-0"].because == (Cause(key="gpu.name", old="RTX 4090", new="RTX 3090"),)


def test_by_config_alone_the_machine_is_the_worst_that_the_old_config_allows(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.batch.gpu.name", "RTX 4090")
    assert actions(judged(repository, base, None))["batch-0"] == "another machine"
    repository.set("fleets.batch.gpu.name", ["RTX 3090", "RTX 4090", "L4"])
    assert actions(judged(repository, base, None))["batch-0"] == "recorded"
    repository.set("fleets.chat.maxUsdPerHour", 0.4)
    assert actions(judged(repository, base, None))["chat-0"] == "another machine"
    repository.set("fleets.chat.maxUsdPerHour", 0.6)
    repository.set("fleets.chat.regions", ["DE"])
    assert actions(judged(repository, base, None))["chat-0"] == "another machine"


@pytest.mark.parametrize(
    ("edit", "value", "action", "key"),
    [
        ("fleets.chat.maxUsdPerHour", 0.3, "another machine", "maxUsdPerHour"),
        ("fleets.chat.maxUsdPerHour", 0.4, "recorded", "maxUsdPerHour"),
        ("fleets.chat.gpu.count", 2, "another machine", "gpu.count"),
        ("fleets.chat.regions", ["US"], "another machine", "regions"),
        ("fleets.chat.regions", ["Germany"], "recorded", "regions"),
        ("fleets.chat.diskGb", 80, "another machine", "diskGb"),
        ("fleets.chat.image", "vllm/vllm-openai:v9", "another machine", "image"),
        ("fleets.chat.vllmArguments", ["--max-model-len", "512"], "in place", "vllmArguments"),
        ("fleets.chat.environment", {"DEBUG": "1"}, "in place", "environment.DEBUG"),
        ("fleets.chat.warmStart", True, "in place", "warmStart"),
        ("fleets.chat.idleMinutes", 30, "in place", "idleMinutes"),
        ("fleets.chat.hosting", "datacenter", "recorded", "hosting"),
        ("fleets.chat.reliability", 0.99, "recorded", "reliability"),
        ("fleets.chat.preflight", {"cpuCores": 4}, "recorded", "preflight.cpuCores"),
        ("limits.attempts", 5, "recorded", "limits.attempts"),
        ("rotation.tokens", 1, "in place", "rotation.tokens"),
        ("rotation.ssh", 1, "in place", "rotation.ssh"),
        ("rotation.certificates", 1, "in place", "rotation.certificates"),
        ("rotation.ca", 1, "in place", "rotation.ca"),
        ("market.url", "https://market.example", "another machine", "market.url"),
        ("store.endpoint", "https://nbg1.example", "recorded", "store.endpoint"),
        ("fleets.chat.rollout", {"maxUnavailable": 2}, "unchanged", None),
        ("budget.usdPerDay", 50, "recorded", "budget.usdPerDay"),
        ("fleets.chat.without", [7], "unchanged", None),
    ],
)
def test_an_edit_has_one_effect_and_names_its_key(
    edit: str, value: Any, action: str, key: str | None, repository: Repository
) -> None:
    base = repository.commit()
    repository.set(edit, value)
    found = judged(repository, base)["chat-0"]

    assert found.action.value == action
    assert keys(found) == ([key] if key else [])


def test_values_of_variables_and_secrets_are_not_shown(repository: Repository) -> None:
    repository.set("fleets.chat.environment", {"A": "plain words", "B": SECURE, "C": SECURE})
    base = repository.commit()
    repository.set("fleets.chat.environment", {"A": "other words", "B": SECURE, "C": {"secure": "v1:xxxx:yyyy"}})
    found = judged(repository, base)["chat-0"]

    assert found.because == (
        Cause(key="environment.A", old="(not shown)", new="(not shown)"),
        Cause(key="environment.C", old="[secret]", new="[secret]"),
    )


def test_a_new_metrics_key_is_applied_in_place(repository: Repository) -> None:
    repository.set("metrics", {"url": "https://metrics.example"})
    repository.set("metricsKey", SECURE)
    base = repository.commit()
    repository.set("metricsKey", {"secure": "v1:xxxx:yyyy"})
    found = judged(repository, base)["chat-0"]

    assert (found.action.value, keys(found)) == ("in place", ["metricsKey"])
    assert found.because[0].new == "[secret]"


def test_another_kit_is_brought_in_place(repository: Repository) -> None:
    base = repository.commit()
    repository.write(SCRIPT, "#!/bin/sh\nexec true\n", executable=True)
    found = judged(repository, base)["chat-0"]

    assert (found.action.value, keys(found)) == ("in place", ["program (kit)"])
    assert found.down_why == "while the gate restarts"
    assert found.down_seconds is None


def test_another_manifest_of_the_same_model_names_the_manifest(repository: Repository) -> None:
    base = repository.commit()
    repository.write(
        "models/small.json", (repository.folder / "models/small.json").read_text().replace("model.s", "m.s")
    )
    assert keys(judged(repository, base)["chat-0"]) == ["models.small.manifest"]


def test_a_new_stack_rents_everything(repository: Repository) -> None:
    repository.commit(write=False)
    assert set(actions(judged(repository, None, None)).values()) == {"rented"}


def test_an_instance_that_does_not_stand_is_rented_and_an_unnamed_one_given_back(repository: Repository) -> None:
    base = repository.commit()
    standing = STANDING.model_copy(update={"instances": (instance("chat-0", disk_gb=18.0), instance("old-3"))})
    found = judged(repository, base, standing)

    assert actions(found) == {
        "chat-0": "unchanged", "chat-1": "rented", "batch-0": "rented", "old-3": "given back",
    }  # fmt: skip
    assert keys(found["chat-1"]) == ["not as on the base branch"]


def test_a_row_that_cannot_be_read_is_not_gone(repository: Repository) -> None:
    base = repository.commit()
    standing = STANDING.model_copy(update={"instances": (instance("chat-0", disk_gb=18.0),), "unreadable": 2})
    found = judged(repository, base, standing)
    assert set(actions(found).values()) == {"unchanged"}
    assert found["chat-1"].usd_per_hour.now is None

    repository.set("fleets.chat.gpu.name", "RTX 3090")
    repository.set("fleets.batch", None)
    found = judged(repository, base, standing)
    assert (found["chat-1"].action.value, found["batch-0"].action.value) == ("another machine", "given back")


def test_drift_of_the_state_is_a_cause(repository: Repository) -> None:
    base = repository.commit()
    rows = (instance("chat-0", replaced_by_drift=True), instance("chat-1", mended_by_drift=True), instance("batch-0"))
    found = judged(repository, base, STANDING.model_copy(update={"instances": rows}))

    assert actions(found) == {"chat-0": "another machine", "chat-1": "in place", "batch-0": "unchanged"}
    assert keys(found["chat-0"]) == keys(found["chat-1"]) == ["drift"]


def test_an_elastic_fleet_s_slots_are_judged_like_instances(repository: Repository) -> None:
    repository.set("fleets.burst", {**repository.config["fleets"]["chat"], "replicas": {"max": 3}})
    base = repository.commit()
    slots = (instance("burst-s0", fleet="burst", slot=True), instance("burst-s2", fleet="burst", slot=True))
    standing = STANDING.model_copy(update={"instances": (*STANDING.instances, *slots)})
    assert set(actions(judged(repository, base, standing)).values()) == {"unchanged"}

    repository.set("fleets.burst.vllmArguments", ["--seed", "1"])
    found = actions(judged(repository, base, standing))
    assert (found["burst-s0"], found["burst-s2"], found["chat-0"]) == ("in place", "in place", "unchanged")

    repository.set("fleets.burst", None)
    assert actions(judged(repository, base, standing))["burst-s2"] == "given back"


def test_a_fixed_fleet_that_becomes_elastic_gives_its_instances_back(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.replicas", {"min": 1, "max": 3})
    found = judged(repository, base)

    assert actions(found) == {"chat-0": "given back", "chat-1": "given back", "batch-0": "unchanged"}
    assert found["chat-0"].because == (Cause(key="replicas", old="2", new="1 to 3"),)
