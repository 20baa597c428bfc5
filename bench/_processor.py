"""The processor seconds of a command with everything that it starts, whoever ends first.

    python bench/_processor.py FILE COMMAND...      writes the seconds to FILE; the status is the command's

A process that outlives its parent comes to this one, which waits for it: nothing is left out.
"""

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h


def main(file: str, *command: str) -> int:
    """Run, wait for everybody, write."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = subprocess.run(command, check=False).returncode
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(file).write_text(f"{used.ru_utime + used.ru_stime:.3f}")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
