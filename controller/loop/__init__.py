"""The reconciler: look at rows and hosts, decide by the rules, write, act. See ports.py for the world around it."""
