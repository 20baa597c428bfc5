"""Every secret of the inputs' models is known to the redaction, whatever field it stands in."""

import base64
import copy
import json
from typing import Any

from pydantic import BaseModel, SecretStr

import providers.vast.settings as settings_module
from providers.vast.redaction import Redaction, secret_fields
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS

SECRET = 'of/"one" & only field'


def test_the_list_follows_from_the_models() -> None:
    models = [each for each in vars(settings_module).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    expected = {
        field.alias or name
        for model in models
        for name, field in model.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }

    assert expected >= {"sshPrivateKey", "caKey", "token", "metricsKey", "secrets"}
    assert secret_fields(InstanceSettings) == expected


def test_each_secret_field_of_inputs_is_hidden_as_a_model_and_as_a_map() -> None:
    props: dict[str, Any] = copy.deepcopy(PROPS)
    for name in ("sshPrivateKey", "caKey", "token", "metricsKey"):
        props["access"][name] = f"{name} {SECRET}"
    props["secrets"] = [f"leaf {SECRET}"]

    for source in (props, InstanceSettings.from_props(props)):
        cleaned = Redaction.of(source)
        for name in ("sshPrivateKey", "caKey", "token", "metricsKey", "leaf"):
            whole = f"{name} {SECRET}"
            for form in (whole, json.dumps(whole)[1:-1], base64.b64encode(whole.encode()).decode()):
                assert cleaned.clean(f"it says {form}.") == "it says [secret]."


def test_fields_of_models_to_come_are_found_at_any_depth() -> None:
    class Registry(BaseModel):
        password: SecretStr

    class Server(BaseModel):
        registries: dict[str, Registry] = {}

    assert secret_fields(Server) == {"password"}
    made = Server(registries={"a": Registry(password=SecretStr("hunter2-hunter2"))})
    assert Redaction.of(made).clean("p=hunter2-hunter2 u=https://a:b12@c/") == "p=[secret] u=https://a:[secret]@c/"
