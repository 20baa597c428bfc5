"""What the preview asks Hetzner before anything is made or turned off, against the emulated API over HTTP."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.cluster.account_rules import ClusterSpec, Price, price_of
from providers.cluster.errors import ClusterError, HetznerDown, HetznerRefused
from providers.cluster.hetzner_api import TRIES, HetznerApi, Pricing
from providers.cluster.session import judge
from sandbox.hetzner.project import Project
from sandbox.hetzner.server import application
from sandbox.market.records.clock import MarketClock
from sandbox.services.http_server import Server, listener
from tests.doubles.clock import FakeClock

TOKEN, READS = "w" * 64, "r" * 64
STACK = "abcdefghijklmnop"
NAME = "gpu-fleet-dev"


class Emulated:
    """The emulated API at a URL."""

    def __init__(self, url: str, project: Project) -> None:
        self.url, self.project = f"{url}/v1", project

    def post(self, kind: str, **body: Any) -> int:
        answer = httpx.post(f"{self.url}/{kind}", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.is_success, answer.text
        return int(next(iter(answer.json().values()))["id"])

    def server(self, owner: str, kind: str = "cx33") -> int:
        labels = {"gpu-fleet": owner} if owner else {}
        return self.post("servers", name=NAME, server_type=kind, image="debian-12", location="fsn1", labels=labels)

    def judge(
        self, token: str = TOKEN, old: Any = None, stack_id: str | None = None, **given: Any
    ) -> tuple[list[str], Price | None]:
        with closing(HetznerApi(self.url, token, FakeClock())) as api:
            return judge(api, token, spec(**given), old, stack_id)


@pytest.fixture
def hetzner() -> Iterator[Emulated]:
    project = Project(MarketClock(10_000.0), {TOKEN: True, READS: False})
    server = Server(application(project), listener())
    server.start()
    yield Emulated(server.url, project)
    server.stop()


def spec(**given: Any) -> ClusterSpec:
    base = {"apiUrl": "unused", "name": NAME, "location": "fsn1", "server": "cx33", "volumeGb": 20}
    return ClusterSpec.model_validate({**base, "network": "10.0.0.0/16", **given})


def test_an_empty_project_gives_a_cluster_and_its_price(hetzner: Emulated) -> None:
    found, price = hetzner.judge()

    assert found == []
    assert price is not None
    assert price.euros == 8.13
    assert price.sentence(NAME) == (
        "gpu-fleet-dev  8.13 EUR a month without VAT, traffic and bucket (cx33 6.49, IPv4 0.50, volume of 20 GB 1.14)"
    )
    assert hetzner.project.resources.get("ssh_key", {}) == {}


def test_a_load_balancer_costs_more(hetzner: Emulated) -> None:
    _, price = hetzner.judge(loadBalancer=True)

    assert price is not None
    assert price.euros == pytest.approx(8.13 + 5.39, abs=0.01)


def test_a_token_of_another_length_is_told_before_any_call() -> None:
    with closing(HetznerApi("http://127.0.0.1:9", "short", FakeClock())) as api:
        [said], price = judge(api, "short", spec(), None, None)

    assert "gpu-fleet:hcloudToken has 5 characters, and one of Hetzner Cloud has 64" in said
    assert price is None


@pytest.mark.parametrize(("token", "said"), [("x" * 64, "unauthorized"), (READS, "token_readonly")])
def test_a_token_that_opens_nothing_or_may_only_read_is_refused(hetzner: Emulated, token: str, said: str) -> None:
    with pytest.raises(HetznerRefused, match=said) as caught:
        hetzner.judge(token)
    assert caught.value.code == said
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"location": "ash"}, "location is 'ash', and Hetzner has fsn1, hel1, nbg1"),
        ({"server": "cx34"}, "server is 'cx34', and Hetzner sells no such x86 type; take one of cx"),
    ],
)
def test_what_hetzner_does_not_have_is_one_sentence(hetzner: Emulated, given: dict[str, Any], said: str) -> None:
    [told], _ = hetzner.judge(**given)
    assert said in told


def test_a_type_that_is_sold_out_is_told_with_one_that_is_not(hetzner: Emulated) -> None:
    hetzner.project.catalog.sell_out("cx33", "fsn1")
    hetzner.project.catalog.sell_out("cx23", "fsn1")

    [said], _ = hetzner.judge()

    assert "Hetzner has no cx33 left in fsn1 now; nothing was turned off or made" in said
    assert said.endswith("pulumi config set --path gpu-fleet:cluster.server cx43")
    assert hetzner.judge(location="nbg1")[0] == []


def test_a_running_server_needs_no_stock_and_a_change_of_its_type_does(hetzner: Emulated) -> None:
    hetzner.server(STACK)
    hetzner.project.catalog.sell_out("cx33", "fsn1")
    hetzner.project.catalog.sell_out("cx43", "fsn1")

    assert hetzner.judge(old=spec(), stack_id=STACK)[0] == []
    [said], _ = hetzner.judge(old=spec(), stack_id=STACK, server="cx43")
    assert "no cx43 left" in said


def test_a_disk_does_not_shrink(hetzner: Emulated) -> None:
    hetzner.server(STACK, "cx43")

    [said], _ = hetzner.judge(old=spec(server="cx43"), stack_id=STACK, server="cx23")

    assert "cx23 has a disk of 40 GB, and the server's has 160 GB; Hetzner shrinks none" in said


@pytest.mark.parametrize(
    ("owner", "old", "stack_id", "said"),
    [
        (
            "",
            None,
            None,
            "did not make; choose another name: pulumi config set --path gpu-fleet:cluster.name",
        ),
        ("qrstuvwxyzabcdef", None, STACK, "that this stack did not make"),
        ("qrstuvwxyzabcdef", spec(), STACK, "that this stack did not make"),
        (STACK, None, STACK, "with this stack's mark, which its state does not know: an update was killed"),
        (STACK, spec(), STACK, ""),
        (STACK, spec(), None, ""),
    ],
)
def test_a_name_that_is_taken_is_told(
    hetzner: Emulated, owner: str, old: ClusterSpec | None, stack_id: str | None, said: str
) -> None:
    hetzner.server(owner)

    found, _ = hetzner.judge(old=old, stack_id=stack_id)

    assert [said in one for one in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"location": "nbg1"}, "cluster.location is 'nbg1', and the cluster was made with 'fsn1'"),
        ({"network": "10.9.0.0/16"}, "cluster.network is '10.9.0.0/16'"),
        ({"apiUrl": "https://other.example/v1"}, "cluster.apiUrl is"),
        ({"volumeGb": 10}, "volumeGb is 10, and the volume has 20 GB; Hetzner shrinks none"),
    ],
)
def test_an_edit_that_would_make_the_cluster_anew_is_refused(
    hetzner: Emulated, change: dict[str, Any], said: str
) -> None:
    [told], _ = hetzner.judge(old=spec(), **change)
    assert said in told
    assert "othing was changed" in told
    assert hetzner.judge(old=spec(), volumeGb=30)[0] == []


class Answers(httpx.BaseTransport):
    """Gives these answers, the last one again and again."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)


def refused(code: str, status: int = 409) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "no"}})


def api(*answers: httpx.Response | Exception) -> tuple[HetznerApi, Answers]:
    transport = Answers(*answers)
    return HetznerApi("https://api.example/v1", TOKEN, FakeClock(), transport), transport


def test_what_passes_by_itself_is_asked_again() -> None:
    locations = httpx.Response(200, json={"locations": [{"name": "fsn1"}]})
    for trouble in (
        refused("locked", 423),
        refused("rate_limit_exceeded", 429),
        httpx.ConnectError("gone"),
        httpx.Response(502),
    ):
        client, transport = api(trouble, locations)
        assert client.locations() == ["fsn1"]
        assert transport.asked == 2

    client, transport = api(refused("resource_limit_exceeded", 403))
    with pytest.raises(HetznerRefused, match="resource_limit_exceeded"):
        client.locations()
    assert transport.asked == 1

    client, transport = api(httpx.ReadTimeout("slow"))
    with pytest.raises(HetznerDown, match=r"https://api.example/v1 does not answer \(ReadTimeout\)"):
        client.locations()
    assert transport.asked == TRIES


def test_a_row_that_does_not_parse_costs_no_other_row() -> None:
    client, _ = api(httpx.Response(200, json={"locations": [{"name": 3}, {"name": "fsn1"}, "odd"]}))
    assert client.locations() == ["fsn1"]

    client, _ = api(httpx.Response(200, json={"pricing": {"server_types": 3}}))
    with pytest.raises(HetznerDown, match="answer cannot be read: server_types"):
        client.pricing()


def test_a_list_has_several_pages() -> None:
    pages = [
        httpx.Response(
            200, json={"locations": [{"name": f"l{page}"}], "meta": {"pagination": {"next_page": following}}}
        )
        for page, following in ((1, 2), (2, 3), (3, None))
    ]
    client, transport = api(*pages)
    assert client.locations() == ["l1", "l2", "l3"]
    assert transport.asked == 3


def test_a_server_is_turned_on_and_a_failure_is_told() -> None:
    def action(status: str, **error: Any) -> httpx.Response:
        return httpx.Response(200, json={"action": {"id": 7, "status": status, "error": error or None}})

    client, transport = api(action("running"), action("running"), action("success"))
    client.power_on("3")
    assert transport.asked == 3

    client, _ = api(action("running"), action("error", message="no resources"))
    with pytest.raises(ClusterError, match="could not turn server 3 on: no resources"):
        client.power_on("3")
    client, _ = api(action("running"))
    with pytest.raises(ClusterError, match="did not turn server 3 on within 300 s"):
        client.power_on("3")


@given(st.floats(0, 1e4), st.floats(0, 10), st.integers(10, 10240))
def test_the_price_is_the_sum_of_its_parts_and_an_unknown_part_is_named(server: float, gb: float, size: int) -> None:
    pricing = Pricing.model_validate(
        {
            "server_types": [{"name": "cx33", "prices": [{"location": "fsn1", "price_monthly": {"net": str(server)}}]}],
            "volume": {"price_per_gb_month": {"net": str(gb)}},
        }
    )
    price = price_of(spec(volumeGb=size), pricing)

    assert price.euros == pytest.approx(server + gb * size, abs=0.01)
    assert "Hetzner names no price for IPv4" in price.sentence(NAME)
