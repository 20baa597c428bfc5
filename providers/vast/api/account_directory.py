"""Where all processes that use one account on one market meet: a private folder of this user, one an account.

It lies under the temporary directory, because nothing in it outlives a boot: losing it costs a moment's wait.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from providers.vast.api.errors import SettingsInvalid


def account_directory(url: str, key: str, base: Path | None = None) -> Path:
    """Return the folder of an account, made if need be. Raises SettingsInvalid where somebody else owns it.

    What is read from there is believed, so it must be a folder that nobody else can write to.
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
