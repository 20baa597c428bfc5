"""Faults of the market: refusals, lost and garbled answers, wrong lists, and bad ends of an instance."""

from sandbox.faults.fault import Fault

_REFUSALS = (
    ("rate-limited", "refuses the call with HTTP 429, in each of the forms that were seen in turn."),
    ("rate-limited-with-hint", "refuses the call with HTTP 429 and says in Retry-After when to come back."),
    ("rate-limited-without-hint", "refuses the call with HTTP 429 in plain text, without a hint."),
    ("search-quota-exceeded", "refuses with HTTP 429 because the searches of the day are used up."),
    ("edge-forbids", "never sees the call: the edge in front of it answers HTTP 403 with a page."),
    ("auth-error", "answers HTTP 404 auth_error, although the key is good."),
    ("session-expired", "answers HTTP 404 and asks to log in again, although the key is good."),
    ("key-revoked", "no longer knows the account's key: HTTP 404 auth_error to every call, until switched off."),
    ("deprecated-route", "answers HTTP 410 deprecated_endpoint, as it did when the list's first version was ended."),
    ("server-error", "answers HTTP 500 and has done nothing."),
    ("bad-gateway", "answers HTTP 502 with a page of the proxy in front of it, and has done nothing."),
    ("unavailable", "answers HTTP 503 with an error object, and has done nothing."),
    ("refused-with-200", "answers HTTP 200 with success: false, and has done nothing."),
    ("empty-body", "answers HTTP 200 with nothing in it."),
    ("null-body", "answers HTTP 200 with null."),
    ("empty-object", "answers HTTP 200 with {}."),
    ("proxy-page", "answers HTTP 200 with an HTML page of a proxy on the way."),
)
OUTAGE_SECONDS = 600.0
_REPLIES = (
    ("slow-answer", "does the work and takes 60 market seconds to answer.", ()),
    ("hung-answer", "takes the call and never answers.", ()),
    ("cut-answer", "does the work, and the connection breaks in the middle of the answer.", ()),
    ("lost-reply", "does the work, and the connection drops before it answers.", ()),
    ("lost-create-reply", "rents the instance, and the connection drops before it answers.", ("create",)),
    ("lost-destroy-reply", "destroys the instance, and the connection drops before it answers.", ("destroy",)),
    ("create-error-but-rented", "rents the instance and answers HTTP 500.", ("create",)),
    ("create-bad-gateway-but-rented", "rents the instance, and the proxy answers HTTP 502.", ("create",)),
    ("create-hangs-but-rented", "rents the instance and never answers.", ("create",)),
    ("destroy-error-but-gone", "destroys the instance and answers HTTP 500.", ("destroy",)),
)
_RENTS = (
    ("offer-taken", "has just given the offer to another customer: HTTP 410 no_such_ask."),
    ("offer-taken-404", "has just given the offer to another customer: HTTP 404 invalid_args."),
    ("offer-taken-400", "has just given the offer to another customer: HTTP 400 no_such_ask."),
    ("no-credit", "refuses to rent, because the account lacks credit."),
    (
        "no-credit-but-rented",
        "refuses to rent, because the account lacks credit, and still leaves a stopped instance behind.",
    ),
    ("stopped-contract", "refuses to rent with HTTP 400 and leaves a stopped instance behind, which costs its disk."),
    ("price-rises", "charges half as much again as the offer said, from the rental on."),
    ("late-in-reads", "rents the instance, and neither the list nor a single look shows it for 60 market seconds."),
    ("duplicate-instance", "rents two instances under one label and names one of them."),
)
_READS = (
    ("odd-offer", "lists one offer with a null in one field.", ("search",)),
    (
        "odd-instance",
        "lists one instance with a null in one field, or with a port or label of another form.",
        ("list",),
    ),
    ("lying-empty-list", "lists no instances, although there are.", ("list",)),
    ("list-row-missing", "leaves one instance out of the list and still counts it.", ("list",)),
    ("list-page-missing", "leads no further than this page of the list, although there are more.", ("list",)),
    ("stale-list", "lists the instances as they were at the last list before.", ("list",)),
    ("missing-in-show", "shows null for an instance that exists.", ("show",)),
    ("log-empty", "has an empty log of the instance.", ("logs",)),
    ("log-late", "names the URL of the log, and the URL stays empty.", ("logs",)),
    ("log-missing", "never gets the log of the instance: HTTP 404 and an empty URL, in turn.", ("logs",)),
    ("log-cut", "has only the first half of the log.", ("logs",)),
    ("destroy-without-effect", "says that the instance is destroyed, and it lives on.", ("destroy",)),
    ("destroy-404-but-alive", "answers HTTP 404 no_such_instance, and the instance lives on.", ("destroy",)),
    ("start-unavailable", "cannot start the instance, as its GPU is taken: resources_unavailable.", ("change",)),
)
_INSTANCES = (
    ("never-boots", "The instance is rented and stays at loading for ever."),
    ("image-pull-fails", "The machine cannot pull the image: an error of docker, and later the instance is stopped."),
    ("container-start-fails", "The container cannot start: created, with an error of the OCI runtime."),
    ("boots-then-exits", "The instance runs and exits at once."),
    ("vanishes-in-boot", "The instance disappears from the market half-way through its boot."),
    ("vanishes-later", "The instance disappears from the market a minute after it runs: the landlord takes it back."),
    (
        "reclaimed",
        "The market stops the instance a minute after it runs, as one that was outbid; its disk goes on costing.",
    ),
    (
        "unknown-for-a-while",
        "The market hears no heartbeat of the instance for five minutes: status unknown, and the instance runs on.",
    ),
    (
        "reboots-slowly",
        "The machine reboots a minute after the instance runs: rebooting, then loading, five minutes in all.",
    ),
    (
        "contract-ends",
        "The landlord's offer ends an hour after the instance runs: the market stops it for good.",
    ),
    (
        "price-rises-later",
        "The instance costs half as much again from a minute after it runs, without an announcement.",
    ),
    (
        "price-rise-announced",
        "The landlord asks for half as much again: pending-price-increases names it, and the price stays until the end.",
    ),
    (
        "credit-exhausted",
        "The account's credit ends: the market stops every instance and neither rents nor starts any.",
    ),
)
_ADDRESSES = (
    ("ports-late", "The instance runs, and the market names its ports a minute later."),
    ("ports-missing", "The instance runs, and the market names no ports for it."),
    ("wrong-ports", "The market names ports of the instance without a listener."),
    ("wrong-address", "The market names an address without a listener."),
    ("moved-ports", "The instance's ports move, and the market names the new ones."),
    ("stranger-at-address", "The market names the ports of another instance, as after an address changed hands."),
)

# Fault of one row -> the fields that it can spoil. The first one hurts most.
SPOILT = {
    "odd-offer": (
        "num_gpus",
        "disk_space",
        "inet_down",
        "inet_down_cost",
        "storage_cost",
        "direct_port_count",
        "cuda_max_good",
        "rentable",
        "gpu_name",
        "gpu_ram",
        "dph_base",
        "geolocation",
        "reliability2",
        "verification",
        "duration",
        "host_id",
    ),
    "odd-instance": (
        "num_gpus",
        "ports.HostPort",
        "disk_space",
        "gpu_name",
        "label",
        "geolocation",
        "inet_down",
        "machine_id",
        "dph_total",
        "image_uuid",
        "status_msg",
        "start_date",
        "public_ipaddr",
        "ports",
        "actual_status",
        "intended_status",
        "cur_state",
        "rentable",
        "cuda_max_good",
        "storage_cost",
        "inet_down_cost",
        "direct_port_count",
    ),
}

MARKET = (
    *(Fault(name, "market", f"The market {says}", lasts=name == "key-revoked") for name, says in _REFUSALS),
    *(Fault(name, "market", f"The market {says}", calls) for name, says, calls in _REPLIES),
    *(Fault(name, "market", f"The market {says}", ("create",)) for name, says in _RENTS),
    *(
        Fault(name, "market", f"The market {says}", calls, SPOILT.get(name, ()), lasts=name == "log-missing")
        for name, says, calls in _READS
    ),
    Fault(
        "api-down",
        "market",
        "The market is down from this call on, for all calls of 600 market seconds: HTTP 502, 503, 504, no answer in turn.",
        outage_seconds=OUTAGE_SECONDS,
    ),
    *(Fault(name, "market", says) for name, says in _INSTANCES),
    *(Fault(name, "market", says) for name, says in _ADDRESSES),
)
