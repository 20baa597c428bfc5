"""Ask the gate for a completion from inside, without a token and with it, and print both statuses. Sent on stdin.

REQUEST: {"port": number, "model": name}. The certificate is not verified here: it names the address that clients use, and
only this host answers on its loopback. The probe from outside verifies it.
"""

import http.client
import json
import ssl
import time
from pathlib import Path

TOKEN = Path("/opt/gpu-fleet/etc/token")
TRIES = 20


def ask(headers):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", REQUEST["port"], timeout=90, context=context)
    body = json.dumps({"model": REQUEST["model"], "prompt": "Hello", "max_tokens": 1})
    try:
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def when_it_listens(headers):
    for attempt in range(TRIES):
        try:
            return ask(headers)
        except OSError as error:
            problem = type(error).__name__
            time.sleep(0.05 * attempt)
    return problem


def main():
    stranger = when_it_listens({})
    client = when_it_listens({"Authorization": "Bearer " + TOKEN.read_text().strip()})
    print(json.dumps({"stranger": stranger, "client": client}))


main()
