"""List the snapshots of a cluster in its bucket."""

from providers.cluster.errors import ClusterError
from providers.cluster.k3s_config import SnapshotPlace
from providers.cluster.plan import newest
from providers.store.client import Keys, connect, objects
from providers.store.errors import StoreError, explain_errors


def newest_snapshot(place: SnapshotPlace | None, own_endpoint: str = "") -> str:
    """Return the name of the newest snapshot; empty if there is none, or no place for any.

    `own_endpoint`: the store's URL as this machine reaches it. Raises ClusterError if the bucket cannot be listed: unknown is
    not none, and a cluster that starts empty would hide the lost one.
    """
    if place is None:
        return ""
    endpoint = own_endpoint or place.endpoint
    try:
        s3 = connect(endpoint, place.region, Keys(place.access, place.secret))
        with explain_errors(endpoint, place.bucket):
            rows = {
                row["Key"]: row["LastModified"].timestamp() for row in objects(s3, place.bucket, f"{place.folder}/")
            }
    except StoreError as error:
        raise ClusterError(
            f"the snapshots in {place.bucket}/{place.folder} cannot be listed with gpu-fleet:backupAccessKey: {error} k3s "
            "was not started, because a lost cluster may lie there."
        ) from None
    return newest(rows, place.folder)
