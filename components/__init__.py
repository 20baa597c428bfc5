"""The only folder that composes resources; `config` is the only reader of stack config."""
