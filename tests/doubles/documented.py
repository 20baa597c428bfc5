"""Every command that README and docs show, and which test runs it as it stands there, or why none does.

commands_of("README.md")         # those of its blocks as an operator would type them, without their comments
inline_of("README.md")           # those within its sentences
played_by(WALK)                  # what a test has to type; it asserts that it has
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (REPO / "docs").glob("*.md")))
PROGRAMS = r"make|find(?= )|gpu-fleet(?= )|pulumi|python3?|git|curl|eval|export|openssl|podman|docker|kubectl|vastai"
SENTENCES = (*PAGES, "monitoring/runbooks.md", "CONTRIBUTING.md", "SECURITY.md")
# Pulumi's own words within sentences are its own matter.
INLINE = re.compile(r"`((?:make|gpu-fleet|pulumi config|python3? -m|git|openssl|podman|docker|kubectl|vastai) [^`]*)`")
COMMAND = re.compile(rf" {{4,}}((?:\$\{{EDITOR\S+(?= )|(?:\(umask 077; |[A-Z_]+=\S+ )?(?:{PROGRAMS})\b).*)")

WALK = "engine/test_real_walk.py"
TRIED = "engine/test_try_it.py"
OPERATING = "engine/test_operating.py"
MANIFESTS = "providers/store/test_documented.py"
WARM = "engine/test_warm_start.py"
RENEWED = "engine/test_renewal.py"
MONITORED = "engine/test_monitoring.py"
SLOTS = "engine/test_slots.py"
ASKED = "controller/api/test_documented.py"
REVIEWED = "engine/test_reviewed.py"

NEEDS_A_BUILDER = (
    "images are neither built nor pulled where the tests run; tests/monitoring/test_image.py tries what goes in"
)
BUILT_BY_SET_UP = (
    "buildah builds it from the same file (offline/controller_images.py); tests/node/test_controller.py runs it"
)
NEEDS_KUBECTL = "set-up brings no kubectl; tests/engine/test_kubernetes.py asks the API server for the same objects"
NO_BUCKET = "no bucket with a name of its own is reached where the tests run; the backend of the tests is a folder"
NO_HETZNER = (
    "no account at Hetzner is reached where the tests run; tests/providers/cluster plays it against an emulated one"
)
AN_EDIT = "tests/engine/test_controller_cluster.py and tests/components/test_controller.py read such keys"
# By page. What nobody runs has a reason in place of a test: a sentence, with blanks.
HOW: Mapping[str, Mapping[str, str]] = {
    "README.md": {
        "make up": TRIED,
        'make ask PROMPT="Hello"': TRIED,
        "make down": TRIED,
        'eval "$(make -s env)"': TRIED,
        'export ID=$(curl -sS -H @<(echo "X-API-Key: $GPU_FLEET_API_KEY") $GPU_FLEET_API_URL/provision': TRIED,
        'curl -sSN -H @<(echo "X-API-Key: $GPU_FLEET_API_KEY") $GPU_FLEET_API_URL/provision/$ID/events': TRIED,
        'curl -sS -H @<(echo "X-API-Key: $GPU_FLEET_API_KEY") -X DELETE $GPU_FLEET_API_URL/provision/$ID': TRIED,
        "gpu-fleet explain burst-s0": TRIED,
        "make test": "it is what runs the tests",
        "gpu-fleet sweep": WALK,
        "gpu-fleet explain chat-0": WALK,
        "gpu-fleet why-not 1234567 chat": WALK,
        "gpu-fleet adopt gpu-fleet/ID/chat-0": WALK,
        "gpu-fleet renew": RENEWED,
        "make setup VLLM=double MONITORING=off": "it is `make setup` without two parts; `make up` takes these settings, too",
        'eval "$(make -s env STACK=dev)"': WALK,
        "pulumi login": WALK,
        "pulumi stack init dev --secrets-provider passphrase": WALK,
        "pulumi config set --secret gpu-fleet:vastApiKey": WALK,
        "pulumi config set --secret gpu-fleet:storeAccessKey": WALK,
        "pulumi config set --secret gpu-fleet:storeSecretKey": WALK,
        "gpu-fleet manifest path/to/model --name my-model": WALK,
        "${EDITOR:-nano} Pulumi.dev.yaml": WALK,
        "pulumi preview && pulumi up": WALK,
    },
    "docs/sandbox.md": {
        'eval "$(make -s env)"': TRIED,
        "make log NAME=chat-0": TRIED,
        "pulumi config set --path 'gpu-fleet:fleets.chat.replicas' 2 && pulumi up": TRIED,
        "gpu-fleet sandbox status": TRIED,
        "make report": MONITORED,
        "gpu-fleet criteria": WALK,
        "git checkout Pulumi.local.yaml": TRIED,
        "curl --cacert <(pulumi stack output caCertificate)": TRIED,
    },
    "docs/production.md": {
        "pulumi config set --secret --path 'gpu-fleet:fleets.chat.registry.password'": WALK,
    },
    "docs/kubernetes.md": {
        "podman build --tag registry.example/me/gpu-fleet-monitoring:1 .": NEEDS_A_BUILDER,
        "podman push registry.example/me/gpu-fleet-monitoring:1": NEEDS_A_BUILDER,
        "pulumi config set --secret gpu-fleet:exporterMarketKey": WALK,
        "openssl rand -hex 24 | pulumi config set --secret gpu-fleet:metricsKey": WALK,
        "pulumi config set --path gpu-fleet:kubernetes.image registry.example/me/gpu-fleet-monitoring:1": WALK,
        "pulumi config set --path gpu-fleet:kubernetes.kubeconfig ~/.kube/config": WALK,
        "pulumi config set --path gpu-fleet:metrics.url https://metrics.example.net": WALK,
        "pulumi config set --path 'gpu-fleet:kubernetes.receiverAnnotations"
        '["load-balancer.hetzner.cloud/location"]\' fsn1': WALK,
        "pulumi config set --path gpu-fleet:kubernetes.digests.prometheus": WALK,
        "kubectl --namespace gpu-fleet get service door-outside": NEEDS_KUBECTL,
        "kubectl --namespace gpu-fleet create secret tls door-certificate --cert=chain.pem --key=key.pem": NEEDS_KUBECTL,
        "python3 -m tools.setup --parts kubernetes-plugin": "12 minutes of two processors; tests/tools/test_plugin.py",
        "kubectl --kubeconfig sandbox/kubeconfig.yaml --namespace gpu-fleet get all": NEEDS_KUBECTL,
    },
    "docs/cluster.md": {
        **dict.fromkeys(
            (
                "pulumi config set --secret gpu-fleet:hcloudToken",
                "pulumi config set --secret gpu-fleet:backupAccessKey",
                "pulumi config set --secret gpu-fleet:backupSecretKey",
                "pulumi config set --path gpu-fleet:cluster.location fsn1",
                "pulumi config set --path 'gpu-fleet:cluster.adminCidrs[0]' 198.51.100.7/32",
                "pulumi config set --path gpu-fleet:cluster.k3s.version v1.34.2+k3s1",
                "pulumi config set --path gpu-fleet:cluster.k3s.sha256 DIGEST",
                "pulumi config set --path gpu-fleet:cluster.protect false",
                "pulumi config set --path gpu-fleet:cluster.apiPort 30444",
                "pulumi stack output caCertificate > ca.pem",
                "pulumi refresh --target '**::cluster-*'",
                "pulumi up --target '**::cluster-*'",
                "pulumi up",
                "pulumi destroy",
                "(umask 077; pulumi stack output kubeconfig --show-secrets > ~/gpu-fleet.kubeconfig)",
            ),
            NO_HETZNER,
        ),
        "pulumi config set --path 'gpu-fleet:controller.kubernetes.clientNetworks[0]' 203.0.113.0/24": AN_EDIT,
        "pulumi config set --secret gpu-fleet:exporterMarketKey": WALK,
        "openssl rand -hex 24 | pulumi config set --secret gpu-fleet:metricsKey": WALK,
        "pulumi config set --path gpu-fleet:kubernetes.image registry.example/me/gpu-fleet-monitoring:1": WALK,
        "kubectl --kubeconfig ~/gpu-fleet.kubeconfig --namespace gpu-fleet port-forward service/grafana 3000": NEEDS_KUBECTL,
    },
    "docs/node.md": {
        "make down": TRIED,
        'eval "$(make -s env)"': TRIED,
        "make up KUBERNETES=node": "tests/node/test_watched.py runs the sandbox that it starts",
        "kubectl --kubeconfig sandbox/kubeconfig.yaml get pods -n gpu-fleet": "as above; the test asks the API server",
        "python3 -m tools.setup --parts node": "half an hour of two processors; tools/deep.py calls it for `node`",
        "python3 -m tools.setup --parts controller-image": "as above; tests/node/test_controller.py runs what it makes",
    },
    "docs/elastic.md": {
        f'curl -sS -H @<(echo "X-API-Key: $GPU_FLEET_API_KEY") {rest}': ASKED
        for rest in (
            "$GPU_FLEET_API_URL/provision/$ID",
            "-X DELETE $GPU_FLEET_API_URL/provision/$ID",
        )
    }
    | {
        'export ID=$(curl -sS -H @<(echo "X-API-Key: $GPU_FLEET_API_KEY") $GPU_FLEET_API_URL/provision': ASKED,
        'curl -sSN -H @<(echo "X-API-Key: $GPU_FLEET_API_KEY") $GPU_FLEET_API_URL/provision/$ID/events': ASKED,
        "gpu-fleet ask --name burst-s0": SLOTS,
        "gpu-fleet log burst-s0": SLOTS,
    },
    "docs/elastic-kubernetes.md": {
        "pulumi login 's3://BUCKET/state?endpoint=fsn1.your-objectstorage.com&region=fsn1&s3ForcePathStyle=true'": NO_BUCKET,
        "pulumi config set --path gpu-fleet:controller.backend": AN_EDIT,
        "podman build --file Containerfile.controller --tag registry.example/me/gpu-fleet-controller:1 .": BUILT_BY_SET_UP,
        "podman push registry.example/me/gpu-fleet-controller:1": NEEDS_A_BUILDER,
        "pulumi config set --path gpu-fleet:controller.kubernetes.image registry.example/me/gpu-fleet-controller:1": AN_EDIT,
        "kubectl --namespace gpu-fleet-controller get pods": NEEDS_KUBECTL,
        "kubectl --namespace gpu-fleet-controller logs deployment/controller --tail 50": NEEDS_KUBECTL,
        "kubectl --namespace gpu-fleet-controller port-forward service/controller 8080": NEEDS_KUBECTL,
        "pulumi config set --path 'gpu-fleet:controller.kubernetes.clientNamespaces[0]' ingress-nginx": AN_EDIT,
        "pulumi config set --secret --path gpu-fleet:controller.kubernetes.environment.PULUMI_ACCESS_TOKEN": AN_EDIT,
        "pulumi config set --secret gpu-fleet:controllerDsn": AN_EDIT,
        "pulumi config set --path 'gpu-fleet:controller.kubernetes.networks[0]' 10.20.0.0/24": AN_EDIT,
    },
    "docs/monitoring.md": {
        "gpu-fleet criteria": WALK,
        "gpu-fleet worth": WALK,
        "pulumi config set --path 'gpu-fleet:models.my-model.comparedWith[0]' openai/gpt-4o-mini": WALK,
        "make report": MONITORED,
        "gpu-fleet dashboards out/": WALK,
        "pulumi config set --path gpu-fleet:metrics.url https://metrics.example.net": WALK,
        "openssl rand -hex 24 | pulumi config set --secret gpu-fleet:metricsKey": WALK,
        "METRICS_KEY=... python -m monitoring.receiver --upstream http://127.0.0.1:9090 --certificate F --key F": WALK,
        "gpu-fleet sandbox fault host-reboots": TRIED,
        "curl -s http://127.0.0.1:18805/api/v2/alerts": "no Alertmanager runs beside that test; test_alerts.py asks promtool",
        "pulumi up --refresh": TRIED,
        'eval "$(make -s env)"': TRIED,
        "gpu-fleet exporter --stack local": WALK,
        "gpu-fleet exporter --config Pulumi.dev.yaml": WALK,
    },
    "docs/review.md": {
        'eval "$(make -s env STACK=dev)"': WALK,
        "export VAST_REVIEW_KEY=...": "tests/engine/test_reviewed.py types the commands below it with such a variable",
        "gpu-fleet review --stack dev --base main --head worktree": REVIEWED,
        "gpu-fleet standing --stack dev --out standing.json": REVIEWED,
        "gpu-fleet review --stack dev --base main --head HEAD --standing standing.json --json > review.json": REVIEWED,
        "gpu-fleet apply --stack dev --reviewed review.json": REVIEWED,
        "gpu-fleet drift --stack dev": REVIEWED,
    },
    "docs/weights.md": {
        'eval "$(make -s env STACK=dev)"': WALK,
        "pulumi login": WALK,
        "pulumi stack init dev --secrets-provider passphrase": WALK,
        "pulumi config set --secret gpu-fleet:vastApiKey": WALK,
        "pulumi config set --secret gpu-fleet:storeAccessKey": WALK,
        "pulumi config set --secret gpu-fleet:storeSecretKey": WALK,
        "pulumi preview && pulumi up": WALK,
        "make ask STACK=dev NAME=chat-0": WALK,
        "HF_TOKEN=... gpu-fleet manifest --from-hub meta-llama/Llama-3.1-8B-Instruct --revision SHA "
        "--name llama-3.1-8b": MANIFESTS,
        "git add models/llama-3.1-8b.json && git commit": MANIFESTS,
        "gpu-fleet manifest models/llama-3.1-8b --name llama-3.1-8b": MANIFESTS,
        "pulumi config set --path 'gpu-fleet:fleets.chat.warmStart' true": "tests/engine/test_warm_start.py sets this key",
        "gpu-fleet pin chat-0": WARM,
        "gpu-fleet store gc": WALK,
        "gpu-fleet store gc --keep origin/next": WALK,
        "gpu-fleet store gc --remove": WALK,
    },
}

A_FLEETS_EDIT = "an edit of bounds; tests/config/test_reading.py reads such keys"
A_NAME = "the beginning of a command that stands elsewhere"
# Commands within sentences, if no block has them.
WITHIN: Mapping[str, str] = {
    "python -m monitoring.exporter --config FILE": "monitoring/test_account.py",
    "python -m monitoring.door": "cli/test_main.py",
    "python -m controller": "engine/test_elastic.py",
    "docker buildx imagetools inspect pulumi/pulumi-python:3.259.0": "no registry is reached where the tests run",
    "docker buildx imagetools inspect IMAGE": "no registry is reached where the tests run",
    "git rev-parse HEAD": "it says which commit a report is about",
    "kubectl --kubeconfig F get nodes": NEEDS_KUBECTL,
    "kubectl -n monitoring get pods": NEEDS_KUBECTL,
    "kubectl --namespace gpu-fleet-controller rollout restart deployment/controller": NEEDS_KUBECTL,
    "kubectl config get-contexts": NEEDS_KUBECTL,
    "kubectl get storageclasses": NEEDS_KUBECTL,
    "kubectl port-forward": NEEDS_KUBECTL,
    "make bench": "it measures for an hour; its results are committed",
    "make check": "it is what runs the tests",
    "make env": TRIED,
    "make env STACK=dev": WALK,
    "make help": TRIED,
    "make log STACK=dev NAME=chat-0": WALK,
    "make setup": TRIED,
    "make test-clients": "an environment of its own, of 1 GB; the light ones of these clients are in tests/clients",
    "make test-deep": "it is what runs the tests",
    "make up MONITORING=off": TRIED,
    "make up VLLM=double": TRIED,
    "pulumi config --show-secrets": WALK,
    "pulumi config set --path gpu-fleet:fleets.burst.replicas.downSeconds 900": A_FLEETS_EDIT,
    "pulumi config set --path gpu-fleet:fleets.burst.replicas.max 6": A_FLEETS_EDIT,
    "pulumi config set --secret --path": A_NAME,
    "pulumi config set --secret --path gpu-fleet:fleets.chat.environment.WANDB_API_KEY": WALK,
    "pulumi config set --secret gpu-fleet:alertWebhook": WALK,
    "pulumi config set --secret gpu-fleet:metricsKey": A_NAME,
    "pulumi config set --secret gpu-fleet:watchdogWebhook": WALK,
    "gpu-fleet apply --reviewed FILE": A_NAME,
    "gpu-fleet drift": A_NAME,
    "gpu-fleet manifest": A_NAME,
    "gpu-fleet pin": A_NAME,
    "gpu-fleet key NAME": TRIED,
    "gpu-fleet review --base REV --head REV": A_NAME,
    "gpu-fleet standing": A_NAME,
    "gpu-fleet status": SLOTS,
    "gpu-fleet why-not 1234567 burst": "the form with another name: `gpu-fleet why-not 1234567 chat`",
    "gpu-fleet sandbox clean": "sandbox/test_commands.py",
    "gpu-fleet log chat-0 --of vmagent": "a host that reports; tests/cli/test_log.py has its parts",
    "python -m tests.doubles.review_page": "it writes the example that tests/review/test_page.py holds against the program",
    "python -m tools.durations": "it reads the report of a whole run; tests/tools/test_durations.py has its parts",
    "vastai destroy instance 1234567 -y": "clients/test_clients.py",
}


def commands_of(page: str) -> list[str]:
    """Return the commands of a page's blocks, in its order; fenced text is of other kinds."""
    lines = re.sub(r"```.*?```", "", (REPO / page).read_text(), flags=re.DOTALL).splitlines()
    return list(_commands(iter(lines)))


def inline_of(page: str) -> set[str]:
    """Return the commands within the sentences of a page."""
    return {" ".join(found.split()) for found in INLINE.findall((REPO / page).read_text())}


def played_by(test: str) -> set[str]:
    """Return the commands that a test, named below tests/, has to type."""
    return {short for rows in (*HOW.values(), WITHIN) for short, how in rows.items() if how == test}


def known_as(command: str) -> str:
    """Return what `HOW` calls a command: the whole of it, or its first line."""
    shorts = [
        short
        for rows in (*HOW.values(), WITHIN)
        for short in rows
        if command == short or command.startswith(f"{short} \\")
    ]
    return shorts[0] if shorts else command


def _commands(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not (found := COMMAND.fullmatch(line)):
            continue
        command = found[1]
        while command.endswith("\\"):
            command += f"\n{next(lines).strip()}"
        yield re.sub(r"\s{2,}#.*", "", command).strip()
