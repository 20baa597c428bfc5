"""Make or check the manifest of a model's folder: sizes and SHA-256 of every file, and what the model is.

python -m providers.store.manifest FOLDER [--name NAME] [--out FILE] [--allow PATTERN]    writes models/<name>.json
python -m providers.store.manifest FOLDER --check FILE                  exit status 1 where they differ
python -m providers.store.manifest --from-hub ORG/NAME --revision SHA [FOLDER]      downloads it first

Refused are what could run code on a host (pickles, Python), what vLLM does not load, empty or cut files, and shards that
the index does not name or that are not there. An interrupted run goes on where it was. HF_TOKEN opens gated models.
"""

import argparse
import hashlib
import sys
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from bootstrap.about import About
from bootstrap.cache import cache_folder
from bootstrap.digesting import bytes_to_read
from bootstrap.manifest import PART_BYTES, Manifest, ManifestError, Source, mismatches, of_folder, paths_of
from providers.store.hub import Hub, damaged, fetch
from providers.store.model_folder import about, problems
from providers.store.quantities import size
from providers.store.remembered import Remembered


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done or equal, 1 different or impossible."""
    parser = argparse.ArgumentParser(
        prog="python -m providers.store.manifest", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folder", type=Path, nargs="?", help="folder with the files of one model")
    parser.add_argument("--name", help="name of the model; default: the folder's name")
    parser.add_argument("--out", type=Path, help="where to write; default: models/<name>.json")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PATTERN", help="files that may stay although they look foreign"
    )
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="compare the folder with this manifest, write nothing"
    )
    parser.add_argument("--from-hub", metavar="ORG/NAME", help="download it into the folder; default: models/<name>")
    parser.add_argument("--revision", metavar="SHA", help="the commit to download")
    options = parser.parse_args(arguments)
    if options.folder is None and not options.from_hub:
        parser.error("name a folder, or a model with --from-hub")
    name = options.name or (options.from_hub or "").rpartition("/")[2].lower()
    folder = (options.folder or Path("models") / name).resolve()
    try:
        if options.check:
            return _check(options.check, folder)
        wanted = fetch(Hub.of(), options.from_hub, options.revision, folder) if options.from_hub else {}
        paths = paths_of(folder)
        if found := problems(folder, paths, options.allow):
            return _complain(
                "\n".join([f"No manifest was made of {folder}:", *(f"  {sentence}" for sentence in found)])
            )
        what = about(folder, paths)
        made = _digested(name or folder.name.lower(), folder, paths).model_copy(update={"about": what})
        if wanted:
            if broken := damaged(made, folder, wanted):
                for path in broken:
                    (folder / path).unlink()
                return _complain(
                    f"{', '.join(broken)} in {folder} arrived damaged by the hub's own digests, and was removed. "
                    "Run the command again."
                )
            made = made.model_copy(update={"source": Source(repo=options.from_hub, revision=options.revision)})
        target = options.out or Path("models") / f"{made.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made.to_json())
    except (ManifestError, OSError) as error:
        return _complain(str(error))
    _say(f"{target}: {len(made.files)} files, {size(made.total_bytes)}, digest {made.digest[:12]}. Commit it.")
    _say(f"  {_described(what)}")
    return 0


def _digested(name: str, folder: Path, paths: list[str]) -> Manifest:
    remembered = Remembered(folder, _cache(folder))
    known = remembered.files()
    sizes = [(path, (folder / path).stat().st_size) for path in paths if path not in known]
    columns = (TextColumn("hashing"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("hashing", total=bytes_to_read(sizes, PART_BYTES))
        return of_folder(name, folder, known, lambda count: progress.advance(task, count), remembered.keep)


def _cache(folder: Path) -> Path:
    return cache_folder() / "digests" / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _described(what: About | None) -> str:
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


def _check(file: Path, folder: Path) -> int:
    try:
        manifest = Manifest.from_json(file.read_text())
    except ValidationError as error:
        rows = (f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False))
        return _complain(f"{file} is not a manifest: " + "; ".join(rows))
    found = mismatches(manifest, folder)
    if found:
        return _complain("\n".join(found))
    _say(f"{folder} is what {file} says: {len(manifest.files)} files, digest {manifest.digest[:12]}.")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
