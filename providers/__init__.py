"""Dynamic resources and the code behind them.

The engine's provider processes import these packages, so imports stay light and have no side effect. No module here
reads stack config or imports `components`.
"""
