"""A model from a hub of models into a plain folder: one pinned revision, only what vLLM loads, held to the hub's digests.

The hub is https://huggingface.co, or what HF_ENDPOINT says. HF_TOKEN opens gated models; it is neither kept nor printed.
"""

import fnmatch
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download

from weights.hub_errors import readable
from weights.manifest import Manifest, ManifestError
from weights.model_folder import BELONGS, CODE, INDEX
from weights.quantities import size

ENDPOINT = "https://huggingface.co"
SHA = re.compile(r"[0-9a-f]{40}\Z")
SPARE_BYTES = 100_000_000  # of the disk, for what is written beside


@dataclass(frozen=True)
class HubFile:
    """One file of a revision. `sha256` of large ones, else `sha1` of the git blob."""

    path: str
    size: int
    sha1: str
    sha256: str | None


@dataclass(frozen=True)
class Hub:
    """A hub as it is reached; `token` may be empty."""

    endpoint: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Hub":
        """Read HF_ENDPOINT and HF_TOKEN."""
        endpoint = environment.get("HF_ENDPOINT") or ENDPOINT
        return cls(endpoint.rstrip("/"), environment.get("HF_TOKEN", "").strip())

    def files(self, repo: str, revision: str | None) -> dict[str, HubFile]:
        """Return the files of a revision by path. Raises ManifestError, also where the revision is a branch or a tag."""
        with readable(self.endpoint, repo, revision, bool(self.token)):
            api = HfApi(endpoint=self.endpoint, token=self.token or False)
            info = api.model_info(repo, revision=revision, files_metadata=True)
        if revision is None or not SHA.match(revision):
            asked = f"{revision} is a branch or a tag" if revision else "No --revision is given"
            raise ManifestError(
                f"{asked}, and what it means may change. It is {info.sha} now; run again with --revision {info.sha}"
            )
        return {
            one.rfilename: HubFile(one.rfilename, one.size or 0, one.blob_id or "", one.lfs.sha256 if one.lfs else None)
            for one in info.siblings or ()
        }

    def download(self, repo: str, revision: str, path: str, folder: Path) -> None:
        """Bring one file into a folder; one that is there whole stays, and one that was cut goes on. Raises ManifestError."""
        with readable(self.endpoint, repo, revision, bool(self.token)):
            hf_hub_download(
                repo, path, revision=revision, local_dir=folder, endpoint=self.endpoint, token=self.token or False
            )


def free_bytes(folder: Path) -> int:
    """Return what the disk of a folder has left."""
    return shutil.disk_usage(folder).free


def fetch(
    hub: Hub, repo: str, revision: str | None, folder: Path, free: Callable[[Path], int] = free_bytes
) -> dict[str, HubFile]:
    """Bring what vLLM loads of a model into a folder, and return those files by path. Raises ManifestError."""
    there = hub.files(repo, revision)
    assert revision is not None
    folder.mkdir(parents=True, exist_ok=True)
    if INDEX in there:
        hub.download(repo, revision, INDEX, folder)
    wanted = {path: there[path] for path in needed(there, _shards(folder / INDEX) if INDEX in there else None)}
    if not any(path.endswith(".safetensors") for path in wanted):
        raise ManifestError(_no_weights(repo, there))
    _demand_room(folder, wanted, free(folder))
    for path in wanted:
        hub.download(repo, revision, path, folder)
    return wanted


def needed(there: Mapping[str, HubFile], shards: frozenset[str] | None) -> list[str]:
    """Return the paths that vLLM loads, pure: no code, nothing in folders, and the weights once. `shards`: the index's."""
    top = [path for path in there if "/" not in path and not path.startswith(".") and there[path].size > 0]
    plain = [path for path in top if _matches(path, BELONGS) and not _matches(path, CODE)]
    weights = [path for path in plain if path.endswith(".safetensors")]
    if shards is not None:
        weights = [path for path in weights if path in shards]
    elif "model.safetensors" in weights:
        weights = ["model.safetensors"]
    indexes = [path for path in plain if path.endswith(".index.json") and (path != INDEX or shards is None)]
    return sorted(
        [path for path in plain if not path.endswith(".safetensors") and path not in indexes and path != "params.json"]
        + weights
    )


def damaged(made: Manifest, folder: Path, wanted: Mapping[str, HubFile]) -> list[str]:
    """Return the files that are not what the hub says, by its own digests; `made` holds what was read from the disk."""
    found = []
    for file in made.files:
        said = wanted.get(file.path)
        if said is None:
            continue
        if said.sha256:
            good = said.sha256 == file.sha256 and said.size == file.size
        else:
            good = said.sha1 == git_blob((folder / file.path).read_bytes())
        if not good:
            found.append(file.path)
    return found


def git_blob(content: bytes) -> str:
    """Return the SHA-1 that git gives a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _shards(index: Path) -> frozenset[str]:
    try:
        named = json.loads(index.read_text())["weight_map"].values()
        return frozenset(str(name) for name in named)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ManifestError(f"{index} has no weight_map from tensors to files.") from None


def _no_weights(repo: str, there: Mapping[str, HubFile]) -> str:
    if any(path.endswith(".gguf") for path in there):
        return f"{repo} holds GGUF files and no safetensors. Take the repository that they were made from."
    if "adapter_config.json" in there:
        return f"{repo} is a LoRA adapter and no whole model. Merge it into its base model, and use the result."
    if any(_matches(path, CODE) for path in there):
        return (
            f"{repo} has its weights as pickles only, which run code when they are loaded. Take one with safetensors."
        )
    return f"{repo} has no safetensors files at its top level: it is no model that vLLM loads from a folder."


def _demand_room(folder: Path, wanted: Mapping[str, HubFile], free: int) -> None:
    # A file that was begun counts whole: a little is kept free.
    lacking = sum(file.size for path, file in wanted.items() if not (folder / path).is_file())
    if lacking + SPARE_BYTES > free:
        raise ManifestError(
            f"{size(lacking)} are to be downloaded, and the disk of {folder} has {size(free)} free. Make room, or name "
            "a folder on another disk."
        )


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
