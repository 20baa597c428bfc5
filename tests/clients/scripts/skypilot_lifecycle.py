"""Launch, list, stop, start and remove an instance with SkyPilot's own code for vast.ai. Prints one JSON object."""

import json
import os
import time

import sky.adaptors.vast as adaptor
import vastai_sdk
from sky.provision.vast import utils

sdk = vastai_sdk.VastAI(api_key=os.environ["MARKET_KEY"], server_url=os.environ["MARKET_URL"])
adaptor._vast_sdk = sdk


def wait(number: str, status: str) -> list[str]:
    seen = []
    deadline = time.monotonic() + 60
    while status not in seen and time.monotonic() < deadline:
        seen.append(utils.list_instances()[number]["status"])
        time.sleep(0.01)
    return list(dict.fromkeys(seen))


offer = sdk.search_offers(query="num_gpus=1 gpu_name=RTX_4090 disk_space>=40")[0]
kind = f"1x-{offer['gpu_name'].replace(' ', '_')}-16-{16 * 1024}"
number = str(
    utils.launch(
        name="sky-head",
        instance_type=kind,
        region=offer["geolocation"],
        disk_size=40,
        image_name="vastai/base:0.0.2",
        ports=None,
        preemptible=False,
        secure_only=False,
        ssh_public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKy4 client",
    )
)
said = {"statuses": wait(number, "RUNNING"), "disk": utils.list_instances()[number]["disk_space"]}
row = utils.list_instances()[number]
said["label"], said["ssh"] = row["name"], [row["ssh_host"], row["ssh_port"] is not None]
utils.stop(number)
said["stopped"] = wait(number, "EXITED")[-1]
utils.start(number)
said["started"] = wait(number, "RUNNING")[-1]
utils.remove(number)
said["left"] = list(utils.list_instances())
print(json.dumps(said))
