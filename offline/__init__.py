"""What a machine needs only if it can download no ready-made programs: a language host, a plugin, Go modules, builders."""
