"""What clients may do, without HTTP: ask, look, renew, give back."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.slot_names import SlotName
from controller import clients, progress
from controller.api.bodies import ClaimAnswer, FleetAnswer, Instance, Phase, ProvisionRequest, moment
from controller.api.errors import ApiError, claim_over, no_such_claim
from controller.demand import Claim
from controller.offers import Client, Offers, choose
from controller.progress import Serving, Status
from controller.slots import State
from controller.store.claim_rows import KeptClaim
from controller.store.claim_view import ClaimView
from controller.store.errors import KeyReused
from controller.store.event_rows import StoredEvent
from controller.store.store import Store


def new_id() -> str:
    """Return a claim's id, which cannot be guessed."""
    return f"claim-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class ClaimService:
    """Answers clients about claims and fleets.

    `offers` returns the applied fleets, or raises OffersUnknown. `wall` is unix seconds. Every method raises StoreDown, and
    the exceptions that controller/api/errors.py makes answers of.
    """

    store: Store
    offers: Callable[[], Offers]
    wall: Callable[[], float]
    id: Callable[[], str] = new_id

    def ask(self, client: Client, request: ProvisionRequest, key: str | None) -> ClaimAnswer:
        """Make a claim; or return the one that this key made."""
        sent = request.model_dump(mode="json")
        first = self.store.claim_of_key(client.name, key) if key is not None else None
        if first is not None and key is not None:
            if dict(first.request) != sent:
                raise KeyReused(key, first.claim.id, first.request)
            return self.look(client, first.claim.id)
        now, offers = self.wall(), self.offers()
        minutes = clients.ttl_minutes(client, request.ttl_minutes)
        claimed = clients.held(self.store.claims(), now)
        fleet = choose(offers.fleets, request.model, request.gpu_type, claimed, request.count)
        claim = Claim(self.id(), fleet.fleet, request.count, now + minutes * 60, client.name)

        def allowed(standing: tuple[Claim, ...]) -> None:
            clients.check_count(client, standing, request.count, now)

        return self.look(client, self.store.add_claim(claim, now, sent, key, allowed).claim.id)

    def look(self, client: Client, id_: str) -> ClaimAnswer:
        """Return a claim of the client's; an admin sees every claim, without tokens."""
        return self._answer(client, self._own(client, id_))

    def claims(self, client: Client) -> list[ClaimAnswer]:
        """Return the client's live claims; an admin's list has those of all."""
        owner = None if "admin" in client.scopes else client.name
        return [self._answer(client, one) for one in self.store.views(owner, self.wall())]

    def renew(self, client: Client, id_: str, minutes: float | None) -> ClaimAnswer:
        """Move a claim's end to so many minutes from now; it never comes nearer."""
        self._check_owner(client, self.store.claim(id_), id_, others=False)
        now = self.wall()
        kept = self.store.renew_claim(id_, now, now + clients.ttl_minutes(client, minutes) * 60)
        if kept is None:
            raise claim_over(id_)
        return self.look(client, id_)

    def end(self, client: Client, id_: str) -> ClaimAnswer:
        """Give a claim back. Its instances leave once their requests have ended, unless others want them."""
        self._check_owner(client, self.store.claim(id_), id_)
        self.store.end_claim(id_, self.wall())
        return self.look(client, id_)

    def follow(self, client: Client, id_: str, after: int) -> tuple[ClaimAnswer, tuple[StoredEvent, ...]]:
        """Return a claim, and what happened to its slots behind an event's number."""
        found = self._own(client, id_)
        return self._answer(client, found), tuple(event for event in found.events if event.id > after)

    def fleets(self) -> list[FleetAnswer]:
        """Return the elastic fleets."""
        claimed = clients.held(self.store.claims(), self.wall())
        return [
            FleetAnswer(
                name=one.fleet,
                model=one.model,
                gpus=one.gpus,
                min=one.bounds.min,
                max=one.bounds.max,
                ceiling_usd_per_hour=one.ceiling,
                claimed=claimed.get(one.fleet, 0),
                slots=self.counts(one.fleet),
            )
            for one in self.offers().fleets
        ]

    def counts(self, fleet: str) -> dict[str, int]:
        """Return how many slots of a fleet are in each state; absent ones are left out."""
        states = [slot.state for slot in self.store.slots(fleet)]
        return {state.value: states.count(state) for state in State if state is not State.ABSENT and state in states}

    def ready(self) -> None:
        """Return if requests can be answered."""
        self.store.ping()
        self.offers()

    def _own(self, client: Client, id_: str) -> ClaimView:
        found = self.store.view(id_)
        if found is None:
            raise no_such_claim(id_)
        self._check_owner(client, found.kept, id_)
        return found

    @staticmethod
    def _check_owner(client: Client, kept: KeptClaim | None, id_: str, *, others: bool = True) -> None:
        """Raise an error if there is no such claim, or if it is not the client's; an admin may have those of others."""
        if kept is None or not (kept.claim.owner == client.name or (others and "admin" in client.scopes)):
            raise no_such_claim(id_)

    def _answer(self, client: Client, found: ClaimView) -> ClaimAnswer:
        kept, claim = found.kept, found.kept.claim
        serving = progress.of_claim(found.slots, claim.id, found.times)
        status = progress.status(claim, kept.ended_at, serving, self.wall())
        ended, waiting = status is Status.ENDED, status is Status.PROVISIONING
        instances = () if ended else tuple(self._instance(client, claim, one) for one in serving)
        first = next((one for one in instances if one.endpoint), None)
        offered = self.offers().find(claim.fleet)
        expect = progress.seconds_to_expect(claim, serving, found.boots) if waiting else 0.0
        return ClaimAnswer(
            id=claim.id,
            status=status.value,
            endpoint=first and first.endpoint,
            token=first and first.token,
            model=str(kept.request.get("model", "")),
            fleet=claim.fleet,
            count=claim.count,
            client=claim.owner,
            created_at=moment(kept.created_at),
            expires_at=moment(claim.expires_at),
            ended_at=moment(kept.ended_at or claim.expires_at) if ended else None,
            ended_because=("expired" if kept.ended_at is None else "given back") if ended else None,
            instances=instances,
            usd_per_hour=None if ended else progress.usd_per_hour(serving),
            ceiling_usd_per_hour=offered.ceiling * claim.count if offered and not ended else None,
            seconds_to_expect=None if expect is None or ended else round(expect, 1),
            waits_for=phase(found.decision).says if waiting and found.decision else (),
            phases=tuple(map(phase, found.events)),
        )

    def _instance(self, client: Client, claim: Claim, one: Serving) -> Instance:
        name = instance_name(claim.fleet, one.slot.index)
        mine = one.serves and claim.owner == client.name
        return Instance(
            name=name,
            state=one.slot.state.value,
            endpoint=one.endpoint if one.serves else None,
            token=self.offers().token(name) if mine else None,
            usd_per_hour=one.slot.usd_per_hour,
        )


def phase(event: StoredEvent) -> Phase:
    """Return an event as clients see it."""
    record = event.record
    says = tuple(str(reason["says"]) for reason in record.reasons if isinstance(reason, Mapping) and reason.get("says"))
    name = record.fleet if record.index is None else instance_name(record.fleet, record.index)
    return Phase(at=moment(record.at), instance=name, phase=record.event, says=says)


def instance_name(fleet: str, index: int) -> str:
    """Return the name of a slot's instance."""
    return SlotName("", fleet, index).instance


def scope_missing(client: Client, scopes: tuple[str, ...]) -> ApiError:
    """Return the error about a key that does not allow this."""
    says = f"The key of {client.name} does not have the scope {' or '.join(scopes)}."
    next_ = f"The operator adds it to clients.{client.name}.scopes, and applies it with `pulumi up`."
    return ApiError(403, "scope_missing", says, next_)
