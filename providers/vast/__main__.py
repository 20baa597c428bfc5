"""Run `gpu-fleet COMMAND` under its older name, `python -m providers.vast COMMAND`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main())
