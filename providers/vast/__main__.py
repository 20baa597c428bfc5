"""`python -m providers.vast COMMAND`: an older name of `gpu-fleet COMMAND`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main())
