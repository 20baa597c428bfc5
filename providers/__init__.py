"""Dynamic resources and what stands behind them.

These packages are imported inside the engine's provider processes, so imports stay light and have no effect.
Nothing here reads stack config and nothing here imports `components`.
"""
