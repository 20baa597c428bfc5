"""From "reachable over SSH" to "answers a completion". Knows neither Pulumi nor the market.

Facts are read, a plan is made from facts and spec, the plan is applied, and the facts are read again.
"""
