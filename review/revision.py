"""One stack of one revision: config and models as the program reads them, and the settings of its instances."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bootstrap.kit import KitError
from components.instance_inputs import FleetParts, instance_inputs, slot_inputs
from components.models import Model, load_models
from components.stand_ins import stand_ins
from config.messages import ConfigError
from config.reading import load
from config.rotation import RotationConfig
from config.secret_keys import needed_secrets, refusals
from config.stack import StackConfig
from providers.vast.api.errors import SettingsInvalid
from providers.vast.settings import InstanceSettings
from review.kit_sources import kit_of
from review.stack_file import StackFile, read_stack_file
from review.tree import Tree, UnfitFile
from weights.manifest import Manifest

ENCRYPTED = "A review cannot decrypt: an encrypted leaf that should be a number is not judged."


MOST_INSTANCES = 2_000  # of all fleets together, that a review judges


class RevisionRefused(ValueError):
    """The program would refuse the revision's config. The message has the program's sentences."""


@dataclass(frozen=True)
class StackRevision:
    """A stack at one revision."""

    tree: Tree
    file: StackFile
    config: StackConfig
    models: Mapping[str, Model]

    @cached_property
    def kit(self) -> Manifest:
        """The manifest that stands in for the kit: equal if the kit is equal."""
        return kit_of(self.tree, reports=self.config.metrics is not None)

    def parts(self, fleet: str) -> FleetParts:
        """Return config and files of a fleet."""
        section = self.config.fleets[fleet]
        model = self.models[section.model]
        return FleetParts(
            name=fleet, fleet=section, stack=self.config, model=model.manifest, kit=self.kit, pins=model.pins
        )

    def settings(
        self,
        fleet: str,
        instance: str,
        index: int,
        *,
        slot: bool = False,
        rotation: RotationConfig | None = None,
        reports: bool = True,
    ) -> InstanceSettings:
        """Return the settings of one instance, with a stand-in for the stack's identity.

        `rotation`: counters in place of config's, for a stack that has not applied them yet. `reports` False: the computer
        that applies lacks the program with which hosts report metrics.
        """
        stack = self.config.model_copy(update={"rotation": rotation}) if rotation else self.config
        opaque = stand_ins(stack, instance)
        metrics_key = self.file.secrets.get("metricsKey")
        opaque = replace(opaque, metrics_key=f"{opaque.metrics_key} {metrics_key}" if metrics_key and reports else None)
        parts = replace(self.parts(fleet), stack=stack)
        inputs: dict[str, Any] = instance_inputs(parts, opaque, instance, index)
        # A parked fleet has inputs of no instance. What state still has of it is compared all the same.
        inputs["replicas"] = max(1, inputs["replicas"])
        if slot:
            inputs = {**slot_inputs(inputs), "name": instance, "label": opaque.label, "turn": index}
        return InstanceSettings.from_props(inputs)

    def names(self, fleet: str) -> dict[str, int]:
        """Return the indexes of a fleet's fixed instances by name; none for a fleet that the revision lacks."""
        section = self.config.fleets.get(fleet)
        return {f"{fleet}-{index}": index for index in section.indexes} if section else {}


def read_revision(tree: Tree, stack: str) -> StackRevision:
    """Read a stack as the program would. Raises NoStackFile, RevisionRefused."""
    file = read_stack_file(tree, stack)
    try:
        config = load(file.values, tree, file.secret_leaves)
        models = load_models(config, tree)
    except ConfigError as error:
        encrypted = [ENCRYPTED] if file.secret_leaves.places else []
        raise RevisionRefused("\n".join([file.secret_leaves.clean(str(error)), *encrypted])) from None
    if (count := sum(fleet.most for fleet in config.fleets.values())) > MOST_INSTANCES:
        raise RevisionRefused(f"the fleets have {count} instances; a review judges {MOST_INSTANCES} at most")
    elsewhere = "environment" in file.engine  # from which Pulumi may take the secrets
    needed = () if elsewhere else needed_secrets(config)
    refused = refusals({**file.values, **file.secrets}, needed, config.market.url, None)
    found = StackRevision(tree, file, config, models)
    refused += _unfit(found)
    if refused:
        raise RevisionRefused("\n".join(refused))
    return found


def _unfit(revision: StackRevision) -> list[str]:
    """Return why the provider would refuse inputs, by fleet."""
    found = []
    for fleet, section in revision.config.fleets.items():
        try:
            revision.settings(fleet, f"{fleet}-0", 0, slot=section.elastic is not None)
        except SettingsInvalid as error:
            found.append(f"{fleet}: {error}")
        except (UnfitFile, KitError) as error:
            return [f"the kit cannot be made: {error}"]
    return found
