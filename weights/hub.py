"""Download a model from a hub into a plain folder: one pinned revision, only files that vLLM loads, checked by digest.

The hub is https://huggingface.co or HF_ENDPOINT. HF_TOKEN opens gated models; it is neither kept nor printed.
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

from weights.hub_errors import explain_errors
from weights.manifest import Manifest, ManifestError
from weights.model_folder import BELONGS, CODE, INDEX
from weights.quantities import size

ENDPOINT = "https://huggingface.co"
SHA = re.compile(r"[0-9a-f]{40}\Z")
SPARE_BYTES = 100_000_000  # of the disk, for other files


@dataclass(frozen=True)
class HubFile:
    """Describe one file of a revision. Large files have a `sha256`, others the `sha1` of the git blob."""

    path: str
    size: int
    sha1: str
    sha256: str | None


@dataclass(frozen=True)
class Hub:
    """Reach one hub; `token` may be empty."""

    endpoint: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Hub":
        """Read HF_ENDPOINT and HF_TOKEN."""
        endpoint = environment.get("HF_ENDPOINT") or ENDPOINT
        return cls(endpoint.rstrip("/"), environment.get("HF_TOKEN", "").strip())

    def files(self, repo: str, revision: str | None) -> dict[str, HubFile]:
        """Return the files of a revision by path. Raises ManifestError, also if the revision is a branch or a tag."""
        with explain_errors(self.endpoint, repo, revision, bool(self.token)):
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
        """Download one file into a folder, keep a complete one, and resume a partial one. Raises ManifestError."""
        with explain_errors(self.endpoint, repo, revision, bool(self.token)):
            hf_hub_download(
                repo, path, revision=revision, local_dir=folder, endpoint=self.endpoint, token=self.token or False
            )


def free_bytes(folder: Path) -> int:
    """Return the free bytes on a folder's disk."""
    return shutil.disk_usage(folder).free


def fetch(
    hub: Hub, repo: str, revision: str | None, folder: Path, free: Callable[[Path], int] = free_bytes
) -> dict[str, HubFile]:
    """Download the files of a model that vLLM loads into a folder, and return them by path. Raises ManifestError."""
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
    """Return the paths that vLLM loads, pure: no code, nothing in folders, and the weights once.

    `there`: files of the hub by path. `shards`: the files that the index names, None without an index.
    """
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
    """Return the paths of files that differ from the hub's digests; `made` holds the digests of the disk's files."""
    found = []
    for file in made.files:
        expected = wanted.get(file.path)
        if expected is None:
            continue
        if expected.sha256:
            good = expected.sha256 == file.sha256 and expected.size == file.size
        else:
            good = expected.sha1 == git_blob((folder / file.path).read_bytes())
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
    # A partial file counts with its whole size, so that a little stays free.
    lacking = sum(file.size for path, file in wanted.items() if not (folder / path).is_file())
    if lacking + SPARE_BYTES > free:
        raise ManifestError(
            f"{size(lacking)} are to be downloaded, and the disk of {folder} has {size(free)} free. Make room, or name "
            "a folder on another disk."
        )


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
