"""Faults of the object store: refusals, slow or damaged answers, and damage to stored objects."""

from sandbox.faults.fault import Fault

STORE = (
    Fault("store-throttled", "store", "The store refuses a request with HTTP 429."),
    Fault("store-slow-down", "store", "The store refuses a request with HTTP 503 SlowDown."),
    Fault("store-error", "store", "The store answers a request with HTTP 500 InternalError."),
    Fault(
        "store-forbidden", "store", "The store refuses a request with HTTP 403 AccessDenied, although the key is good."
    ),
    Fault("store-slow", "store", "The store takes 10 s longer to answer a request."),
    Fault(
        "store-slow-for-all",
        "store",
        "The store sends all clients together 1 Mb/s, so that every download is slow.",
        lasts=True,
    ),
    Fault("store-times-out", "store", "The store does not answer a request for 20 s, and then the connection breaks."),
    Fault(
        "store-bucket-late",
        "store",
        "A new bucket answers NoSuchBucket for 8 s, as Hetzner's does for up to minutes.",
    ),
    Fault(
        "store-has-tags",
        "store",
        "The store accepts tags, as it did for older stacks. Without this fault it refuses them.",
        lasts=True,
    ),
    Fault("store-wants-md5", "store", "The store refuses a bucket's settings without a Content-MD5.", lasts=True),
    Fault("store-truncated", "store", "The connection breaks in the middle of an object that the store sends."),
    Fault("store-flipped", "store", "One byte of an object changes on its way from the store."),
    Fault(
        "corrupt-blob",
        "store",
        "One byte of a stored blob changes, and stays changed until the blob is uploaded again.",
        at_once=True,
    ),
    Fault(
        "truncated-blob",
        "store",
        "A stored blob loses its second half, and stays so until it is uploaded again.",
        at_once=True,
    ),
)
