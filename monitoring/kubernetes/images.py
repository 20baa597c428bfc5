"""The images of the cluster: a table of tags. Digests come from stack config, because a tag can be moved."""

from collections.abc import Mapping

IMAGES = {
    "prometheus": "prom/prometheus:v3.5.0",
    "alertmanager": "prom/alertmanager:v0.28.1",
    "grafana": "grafana/grafana:12.4.11",
}
OWN = "monitoring"  # the project's own image; `kubernetes.image` names it


def reference(name: str, digests: Mapping[str, str], own: str) -> str:
    """Return a pod's image: repository and tag, with the digest if config has it.

    >>> reference("grafana", {"grafana": "sha256:ab"}, "")
    'grafana/grafana:12.4.11@sha256:ab'
    """
    image = own if name == OWN else IMAGES[name]
    digest = digests.get(name)
    return f"{image}@{digest}" if digest and "@" not in image else image


def unpinned(digests: Mapping[str, str], own: str, images: Mapping[str, str] = IMAGES) -> list[str]:
    """Return, for each image without a digest, the command that pins it. Without a digest, a moved tag changes the image.

    >>> unpinned({"prometheus": "sha256:a", "alertmanager": "sha256:b", "grafana": "sha256:c"}, "me/m@sha256:d")
    []
    """
    return [
        f"pulumi config set --path gpu-fleet:kubernetes.digests.{name} "
        f"\"$(docker buildx imagetools inspect {image} --format '{{{{.Manifest.Digest}}}}')\""
        for name, image in {**images, OWN: own}.items()
        if name not in digests and "@" not in image
    ]
