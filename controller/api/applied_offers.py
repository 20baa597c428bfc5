"""Make the offers to clients from the result of the main stack's last `up`."""

from controller.offers import Client, Offered, Offers
from providers.elastic.applied import Applied


def offers_of(applied: Applied) -> Offers:
    """Return the fleets, clients and tokens of one version of the main stack."""
    fleets = tuple(
        Offered(name, fleet.model, fleet.gpus, fleet.bounds, fleet.ceiling) for name, fleet in applied.fleets.items()
    )
    clients = {
        name: Client(
            name,
            client.api_key.get_secret_value(),
            frozenset(client.scopes),
            client.max_instances,
            client.max_ttl_minutes,
        )
        for name, client in applied.clients.items()
    }
    return Offers(fleets, clients, applied.token)
