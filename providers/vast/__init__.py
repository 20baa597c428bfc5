"""vast.ai market: pure rules, one HTTP client, renting, and the `VastInstance` resource.

Imports go one way: `resource` -> `lifecycle` -> `create` -> `renting` -> `search` -> `api`.
"""
