"""Make or check a manifest from a folder.

python -m providers.store.manifest FOLDER [--name NAME] [--out FILE]    writes models/<name>.json
python -m providers.store.manifest FOLDER --check FILE                  exit status 1 where they differ
"""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from bootstrap.manifest import Manifest, ManifestError, mismatches, of_folder
from providers.store.quantities import size


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done or equal, 1 different or impossible."""
    parser = argparse.ArgumentParser(
        prog="python -m providers.store.manifest", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="folder with the files of one model")
    parser.add_argument("--name", help="name of the model; default: the folder's name")
    parser.add_argument("--out", type=Path, help="where to write; default: models/<name>.json")
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="compare the folder with this manifest, write nothing"
    )
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    try:
        if options.check:
            return _check(options.check, folder)
        manifest = of_folder(options.name or folder.name.lower(), folder)
        target = options.out or Path("models") / f"{manifest.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(manifest.to_json())
    except (ManifestError, OSError) as error:
        return _complain(str(error))
    _say(
        f"{target}: {len(manifest.files)} files, {size(manifest.total_bytes)}, digest {manifest.digest[:12]}. "
        "Commit it."
    )
    return 0


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
