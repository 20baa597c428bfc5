"""Know this machine: where set-up lays things, and how one of its steps runs. Both `tools` and `offline` build on it."""
