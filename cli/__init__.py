"""The command `gpu-fleet`: each file is one sub-command or what several of them share."""
