"""Parts for a machine that can download no ready-made programs: a language host, a plugin, Go modules, builders."""
