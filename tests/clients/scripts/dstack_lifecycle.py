"""Search, rent, watch and end an instance with dstack's own code for vast.ai. Prints one JSON object."""

import json
import os
import time

import gpuhunt.providers.vastai as provider
from dstack._internal.core.backends.vastai.api_client import VastAIAPIClient, VastAICreateInstanceError
from gpuhunt import QueryFilter

url, key = os.environ["MARKET_URL"], os.environ["MARKET_KEY"]
provider.bundles_url = f"{url}/api/v0/bundles/"
client = VastAIAPIClient(key)
client.s.base_url = f"{url}/api/"
said = {"key": client.auth_test()}

filters = {"direct_port_count": {"gte": 1}, "cuda_max_good": {"gte": 12.8}, "compute_cap": {"gte": 600}}
offers = provider.VastAIProvider(extra_filters=filters, order=[("dph_base", "asc")]).get(QueryFilter(min_gpu_count=1))
best = next(offer for offer in offers if not offer.spot)
number = client.create_instance("dstack-job-0", best.instance_name, "ubuntu:22.04", "echo runner", 20)
# dstack shows the instance at once and takes null for gone.
first = client.get_instance(number)
said["shown at once"] = first is not None
statuses = [first and first["actual_status"]]
deadline = time.monotonic() + 60
while statuses[-1] != "running" and time.monotonic() < deadline:
    found = client.get_instance(number)
    statuses.append(found and found["actual_status"])
    time.sleep(0.01)
said["statuses"] = list(dict.fromkeys(statuses))
ports = client.get_instance(number)["ports"]
said["ports"] = {name: int(rows[0]["HostPort"]) > 0 for name, rows in ports.items()}
client.destroy_instance(number)
client.destroy_instance(number)  # no error where it is gone already
said["gone"] = client.get_instance(number) is None

spot = next(offer for offer in offers if offer.spot and offer.instance_name != best.instance_name)
try:
    client.create_instance("dstack-job-1", spot.instance_name, "ubuntu:22.04", "echo runner", 20, bid=0.001)
except VastAICreateInstanceError as error:
    said["left behind"] = error.created_instance_id
    client.destroy_instance(error.created_instance_id)
print(json.dumps(said))
