"""What `make` calls: set-up, the environment of a shell, up, ask, down, bench. Standard library only, except ask."""
