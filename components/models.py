"""Reads the manifests that a stack's fleets name, and checks the fleets' vLLM arguments against them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.requirements import arguments_of
from config.base import path_of
from config.fleets import FleetConfig
from config.messages import ConfigError
from config.project_files import ProjectFiles, files_of
from config.stack import StackConfig
from providers.vast.search.memory_fit import contradictions
from providers.vast.search.serving_options import read_options
from weights.manifest import Manifest
from weights.model_info import ModelInfo
from weights.pinned_caches import pins_file, read_pins


@dataclass(frozen=True)
class Model:
    """The committed files of a model: its manifest, and digests of compile caches that any machine may use, by key."""

    manifest: Manifest
    pins: Mapping[str, str]


def load_models(stack: StackConfig, project: Path | ProjectFiles) -> dict[str, Model]:
    """Read the committed files of all models that a fleet names. Raises ConfigError as `load_manifests` does."""
    manifests, files = load_manifests(stack, project), files_of(project)
    return {name: Model(manifest, _pins(files, stack.models[name].manifest)) for name, manifest in manifests.items()}


def load_manifests(stack: StackConfig, project: Path | ProjectFiles) -> dict[str, Manifest]:
    """Read the manifests of all models that a fleet names.

    Raises ConfigError with the file and its mistake, also if a fleet's vLLM arguments contradict the model.
    """
    manifests, files = {}, files_of(project)
    for name in sorted({fleet.model for fleet in stack.fleets.values()}):
        path = Path(stack.models[name].manifest)
        try:
            manifests[name] = Manifest.from_json(files.text(str(path)))
        except ValueError as error:
            raise ConfigError(
                f"{path_of('models', name, 'manifest')}: {path.name} is not a manifest: {error}"
            ) from None
    if mistakes := _mistakes(stack, manifests):
        raise ConfigError("\n".join(mistakes))
    return manifests


def _pins(files: ProjectFiles, manifest: str) -> dict[str, str]:
    file = pins_file(Path(manifest))
    try:
        return read_pins(files.text(str(file))) if files.has(str(file)) else {}
    except ValueError as error:
        raise ConfigError(f"{file.name} cannot be read: {error}") from None


def _mistakes(stack: StackConfig, manifests: dict[str, Manifest]) -> list[str]:
    return [
        f"gpu-fleet:fleets.{name}.vllmArguments: {sentence}."
        for name, fleet in stack.fleets.items()
        if (about := manifests[fleet.model].about)
        for sentence in _of_fleet(about, fleet)
    ]


def _of_fleet(about: ModelInfo, fleet: FleetConfig) -> list[str]:
    options = read_options(about, arguments_of(fleet, about), fleet.environment)
    return contradictions(about, options, fleet.gpu.count)
