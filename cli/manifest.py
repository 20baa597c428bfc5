"""`gpu-fleet manifest`: make or check the manifest of a model's folder: sizes, SHA-256 of every file, and model facts.

Refused are files that could run code on a host (pickles, Python), files that vLLM does not load, empty or cut files, and
shards that the index does not name or that are missing. An interrupted run goes on where it was.
"""

import hashlib
import sys
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from bootstrap.cache import cache_folder
from cli.command import command
from cli.errors import CommandError
from weights.hash_cache import HashCache
from weights.hashing import bytes_to_read
from weights.hub import Hub, damaged, fetch
from weights.manifest import PART_BYTES, Manifest, ManifestError, Source, mismatches, of_folder, paths_of
from weights.model_folder import problems, read_model_info
from weights.model_info import ModelInfo
from weights.quantities import size


@command("manifest", ManifestError, OSError)
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--name", help="The model's name; without it, the folder's.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write; without it, models/NAME.json.")
@click.option("--allow", multiple=True, metavar="PATTERN", help="Files that may stay although they look foreign.")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare the folder with this manifest and write nothing. Exit status 1 if they differ.",
)
@click.option("--from-hub", metavar="ORG/NAME", help="Download the model first, into FOLDER or models/NAME.")
@click.option("--revision", metavar="SHA", help="The commit to download.")
def manifest(
    folder: Path | None,
    name: str | None,
    out: Path | None,
    allow: tuple[str, ...],
    check: Path | None,
    from_hub: str | None,
    revision: str | None,
) -> None:
    """Make or check the manifest of the model in FOLDER.

    HF_TOKEN opens gated models of the hub.
    """
    if folder is None and not from_hub:
        raise click.UsageError("Name a folder, or a model with --from-hub.")
    name = name or (from_hub or "").rpartition("/")[2].lower()
    folder = (folder or Path("models") / name).resolve()
    if check:
        _check(check, folder)
        return
    made = make(folder, name, allow, from_hub, revision)
    target = out or Path("models") / f"{made.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(made.to_json())
    print(f"{target}: {len(made.files)} files, {size(made.total_bytes)}, digest {made.digest[:12]}. Commit it.")
    print(f"  {_described(made.about)}")


def make(
    folder: Path, name: str, allow: tuple[str, ...], from_hub: str | None = None, revision: str | None = None
) -> Manifest:
    """Hash a model's folder, downloaded from the hub first if asked. Raises CommandError, ManifestError, OSError."""
    wanted = fetch(Hub.of(), from_hub, revision, folder) if from_hub else {}
    paths = paths_of(folder)
    if found := problems(folder, paths, allow):
        raise CommandError("\n".join([f"No manifest was made of {folder}:", *(f"  {sentence}" for sentence in found)]))
    made = _digested(name or folder.name.lower(), folder, paths).model_copy(
        update={"about": read_model_info(folder, paths)}
    )
    if not wanted:
        return made
    if broken := damaged(made, folder, wanted):
        for path in broken:
            (folder / path).unlink()
        raise CommandError(
            f"{', '.join(broken)} in {folder} arrived damaged by the hub's own digests, and was removed. "
            "Run the command again."
        )
    return made.model_copy(update={"source": Source(repo=from_hub, revision=revision)})


def _digested(name: str, folder: Path, paths: list[str]) -> Manifest:
    remembered = HashCache(folder, _cache(folder))
    known = remembered.files()
    sizes = [(path, (folder / path).stat().st_size) for path in paths if path not in known]
    columns = (TextColumn("hashing"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("hashing", total=bytes_to_read(sizes, PART_BYTES))
        return of_folder(name, folder, known, lambda count: progress.advance(task, count), remembered.keep)


def _cache(folder: Path) -> Path:
    return cache_folder() / "digests" / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _described(what: ModelInfo | None) -> str:
    if what is None:
        return "config.json does not say how large the model is in a way that is known here: previews say fit unknown"
    quantized = f", quantised by {what.quantization}" if what.quantization else ""
    sizes = ", ".join(map(str, what.tensor_parallel_sizes))
    template = "with" if what.chat_template else "without"
    return (
        f"{what.architecture}, {what.parameters:,} parameters in {what.dtype}{quantized}, {size(what.weight_bytes)}, "
        f"{what.layers} layers, {what.kv_bytes_per_token:,} bytes of KV cache a token, context {what.context_length:,}, "
        f"{template} chat template, splits over {sizes} GPUs"
    )


def _check(file: Path, folder: Path) -> None:
    try:
        expected = Manifest.from_json(file.read_text())
    except ValidationError as error:
        rows = (f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False))
        raise CommandError(f"{file} is not a manifest: " + "; ".join(rows)) from None
    if found := mismatches(expected, folder):
        raise CommandError("\n".join(found))
    print(f"{folder} is what {file} says: {len(expected.files)} files, digest {expected.digest[:12]}.")
