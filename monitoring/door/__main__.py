"""Run `monitoring.receiver`: an alias for pods whose command still says `python -m monitoring.door`."""

import sys

from monitoring.receiver.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
