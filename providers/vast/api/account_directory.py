"""The private folder that all processes of this user share, one for each market account.

It lies under the temporary directory, because none of its content has to outlive a boot. Losing it costs a short wait.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from providers.vast.api.errors import SettingsInvalid


def account_directory(url: str, key: str, base: Path | None = None) -> Path:
    """Return the folder of an account, and create it if needed.

    Processes trust the files there, so no other user may be able to write to it. Raises SettingsInvalid if another user
    owns the folder or can write to it.
    """
    base = base or Path(tempfile.gettempdir()) / f"gpu-fleet-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SettingsInvalid(
            f"{base} must be a folder of your own that only you may write to; remove it, or set TMPDIR"
        )
    folder = base / hashlib.sha256(f"{url}\n{key}".encode()).hexdigest()[:16]
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
