"""The vast.ai market: pure rules, one HTTP client, renting, and the `VastInstance` resource.

`resource` -> `online` -> `renting` -> `client` -> `instances`, `offers`, `label` -> `errors`: imports go this way only.
"""
