"""Programs start after the one that they name, once at a time, and again a moment after they ended."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.node.order import AGAIN_SECONDS, Order
from sandbox.node.programs import Program, of_node
from sandbox.node.site import Site

STORE, API = Program("store", (), ready="store answers"), Program("api", (), "store", "api answers")
IMAGE, KUBELET = Program("ctr", (), "store", once=True, label="image"), Program("kubelet", (), "image")
ALL = (STORE, API, IMAGE, KUBELET)


def test_each_starts_when_the_one_before_it_is_ready() -> None:
    answering: set[str] = {""}
    order = Order(ALL, answering.__contains__)

    assert order.next(0) == [STORE]
    assert order.next(0) == [], "it runs"
    order.look([STORE])
    assert order.next(0) == []
    answering.add("store answers")
    order.look([STORE])
    assert order.next(0) == [API, IMAGE]
    order.ended(IMAGE, 1, well=False)
    assert order.next(1) == [], "not at once"
    assert order.next(1 + AGAIN_SECONDS) == [IMAGE]
    order.ended(IMAGE, 5, well=True)
    assert order.next(5) == [KUBELET]
    assert not order.complete
    answering.add("api answers")
    order.look([API, KUBELET])
    assert order.complete
    order.ended(KUBELET, 7, well=True)
    assert order.next(7 + AGAIN_SECONDS) == [KUBELET], "what is to stay is started again, however it ended"


@given(st.lists(st.sampled_from(range(len(ALL))), max_size=30))
def test_nothing_runs_twice_or_before_the_one_that_it_waits_for(ends: list[int]) -> None:
    order, running, now = Order(ALL, lambda _ready: True), set[str](), 0.0
    done = {""}
    for number in ends:
        now += AGAIN_SECONDS
        for program in order.next(now):
            assert program.key not in running
            assert program.after in done
            running.add(program.key)
        order.look(program for program in ALL if program.key in running)
        done |= {program.key for program in ALL if program.key in running and not program.once}
        program = ALL[number]
        if program.key in running:
            running.remove(program.key)
            order.ended(program, now, well=True)
            done.add(program.key)


def test_a_site_is_all_that_a_programs_words_are_made_of() -> None:
    site = Site(
        "n", "10.0.1.10", "10.42.0.0/24", "10.43.0.0/16", "10.43.0.10", "/keys", "/settings", "/state", "/layers"
    )
    words = [word for program in of_node(site, ["/i/pause.tar"]) for word in program.arguments]

    assert {"--node-ip=10.0.1.10", "--hostname-override=n", "--kubeconfig=/keys/kubelet.kubeconfig"} <= set(words)
    assert {"--root-dir=/state/kubelet", "--config=/settings/containerd.toml", "/i/pause.tar"} <= set(words)
