"""Servers that the sandbox runs beside market and hosts, each a real one on loopback."""
