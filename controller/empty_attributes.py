"""Remove the empty files that a killed command of Pulumi leaves in a backend of files, and that hide a state which is whole.

Beside each state Pulumi keeps a small file `<stack>.json.attrs`, and does not write it in one step. A kill in that moment
leaves it empty, and each later command on the stack fails. Nothing needs its content.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

HIDDEN = "failed to load checkpoint: EOF"
WAY_OUT = (
    "A killed command left an empty `.attrs` file beside the state, which is whole. With the backend's folder in FOLDER: "
    "find \"$FOLDER/.pulumi\" -name '*.attrs' -empty -delete"
)


def remove_empty_attributes(backend: str, stack: str) -> bool:
    """Remove a stack's empty files at a backend URL; say whether there was one. Other backends have none."""
    found = urlsplit(backend)
    folder = Path(unquote(found.netloc + found.path)).expanduser()
    if found.scheme != "file" or not folder.is_absolute():
        return False
    found_empty = [file for file in (folder / ".pulumi" / "stacks").rglob(f"{stack}.json*.attrs") if _is_empty(file)]
    for file in found_empty:
        file.unlink(missing_ok=True)
    return bool(found_empty)


def _is_empty(file: Path) -> bool:
    try:
        return not file.stat().st_size
    except OSError:
        return False
