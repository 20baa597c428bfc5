"""Ask the market for offers as gpuhunt does: without a key. Prints what it makes of them as JSON."""

import json
import os

import gpuhunt.providers.vastai as provider
from gpuhunt import QueryFilter

provider.bundles_url = f"{os.environ['MARKET_URL']}/api/v0/bundles/"
wanted = QueryFilter(gpu_name=["RTX4090", "H100"], min_gpu_count=1, max_gpu_count=1, max_price=10.0)
items = provider.VastAIProvider(extra_filters={"direct_port_count": {"gte": 1}}).get(wanted)
print(json.dumps([{"gpu": item.gpu_name, "price": item.price, "memory": item.gpu_memory} for item in items]))
