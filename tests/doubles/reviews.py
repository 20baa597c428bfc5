"""Reviews for tests of what is printed of them: the example of the docs, and any that a generator draws."""

from hypothesis import strategies as st

from review.report import (
    Action,
    Binding,
    Cause,
    FleetReview,
    InstanceReview,
    ModelReview,
    OfferRow,
    Outcome,
    PeriodReview,
    PolicyResult,
    Price,
    Review,
    Verdict,
)

ASKED_AT = 1_796_047_320.0  # 14:02 UTC


def instance(name: str, action: Action, *because: Cause, **more: object) -> InstanceReview:
    """Return an instance of the fleet that its name says. `now`, `then` and `ceiling` are in $/h."""
    price = Price.model_validate({key: more.pop(key) for key in ("now", "then", "ceiling") if key in more})
    return InstanceReview.model_validate(
        {
            "name": name,
            "fleet": name.rpartition("-")[0],
            "action": action,
            "because": because,
            "usd_per_hour": price,
            **more,
        }
    )


def example() -> Review:
    """Return the review of an edit that resizes one fleet, swaps a model and changes a GPU."""
    replicas = Cause(key="replicas", old="2", new="4")
    return Review(
        stack="dev",
        verdict=Verdict.WARNS,
        instances=(
            instance("chat-0", Action.UNCHANGED, now=0.342),
            instance("chat-1", Action.UNCHANGED, now=0.351),
            instance("chat-2", Action.RENTED, replicas, then=0.349, ceiling=0.5),
            instance("chat-3", Action.RENTED, replicas, then=0.358, ceiling=0.5),
            instance(
                "batch-0",
                Action.IN_PLACE,
                Cause(key="model", old="llama-3.1-8b", new="qwen3-8b"),
                now=0.462,
                then=0.462,
                ceiling=0.5,
                down_seconds=62.0,
                down_why="while vLLM restarts",
            ),
            instance(
                "rerank-0",
                Action.ANOTHER_MACHINE,
                Cause(key="gpu.name", old="RTX 3090", new="RTX 4090"),
                now=0.187,
                then=0.344,
                ceiling=0.45,
                down_seconds=421.0,
            ),
        ),
        fleets=(
            FleetReview(
                name="chat",
                fitting=31,
                cheapest=0.349,
                dearest=0.612,
                offers=(
                    OfferRow(
                        offer_id=8123,
                        gpu="RTX 4090",
                        where="Germany, DE",
                        usd_per_hour=0.349,
                        reliability=0.994,
                        download_mbps=812,
                        first_start_seconds=402,
                    ),
                ),
            ),
            FleetReview(name="rerank", fitting=18, cheapest=0.344, dearest=0.449),
        ),
        models=(
            ModelReview(
                name="qwen3-8b",
                need_gib=19.4,
                room_gib=24.0,
                start_gb=16.4,
                bucket_usd="16.4 GB leave the bucket at each start: 60 starts a month are in Hetzner's included TB",
                old_digest="a" * 64,
                new_digest="b" * 64,
                added=("model-1.safetensors",),
                changed=("config.json",),
                flagged=("modeling.py",),
            ),
        ),
        periods=(
            PeriodReview(name="a day", now=32.21, expected=52.94, ceiling=62.52, budget=60),
            PeriodReview(
                name="this month",
                now=991.84,
                expected=1365.09,
                ceiling=1537.46,
                budget=1500,
                spent=412.10,
                hours_left=432,
            ),
            PeriodReview(name="a month of 730 h, always on", now=980, expected=1610, ceiling=1902),
        ),
        policy=(
            PolicyResult(rule="verified hosts", outcome=Outcome.OK, says=""),
            PolicyResult(rule="images pinned", outcome=Outcome.OK, says=""),
            PolicyResult(
                rule="worst case within budget", outcome=Outcome.WARNS, says="a day may cost $62.52 of $60.00"
            ),
        ),
        risks=("rerank has one replica: its endpoint is down meanwhile.",),
        standing_at=ASKED_AT - 3600,
        asked_at=ASKED_AT,
        binding=Binding(
            base="77d0a91" + "0" * 33,
            head="4be1c02" + "0" * 33,
            config="1" * 64,
            manifests="2" * 64,
            program="3" * 64,
            at=ASKED_AT,
        ),
    )


def everywhere(text: str) -> Review:
    """Return a review in which each text is this one."""
    cause = Cause(key=text, old=text, new=text)
    shown = Cause(key="model", old=text, new=text)
    return Review(
        stack=text,
        verdict=Verdict.REFUSED,
        instances=(
            InstanceReview(
                name=text, fleet=text, action=Action.IN_PLACE, because=(cause, shown), down_why=text, place=text
            ),
            InstanceReview(name=f"{text}-1", fleet=text, action=Action.RENTED, because=(Cause(key="drift", new=text),)),
        ),
        fleets=(
            FleetReview(
                name=text,
                fitting=1,
                offers=(OfferRow(offer_id=1, gpu=text, where=text, usd_per_hour=1),),
                trouble=text,
                refusal=text,
            ),
        ),
        models=(
            ModelReview(name=text, bucket_usd=text, added=(text,), removed=(text,), changed=(text,), flagged=(text,)),
        ),
        periods=(PeriodReview(name=text, budget=1, ceiling=2),),
        policy=(PolicyResult(rule=text, outcome=Outcome.REFUSES, says=text),),
        risks=(text,),
        refusals=(text,),
        warnings=(text,),
        flagged=(text,),
        binding=Binding(base=text, head=text, config=text, manifests=text, program=text, at=0),
    )


NASTY = (
    "@team", "@org/team", "<img src=x onerror=alert(1)>", "![a](https://evil.example/x.png)", "[a](javascript:alert(1))",
    "`", "``", "```", "|", "\\|", "\\", "\n", "\r\n", "\n\n# big", "\n/close", "\u202e", "\u200b", "\u2066", "\x1b[31m",
    "https://evil.example", "www.evil.example", "-->", "<!-- gpu-fleet review dev -->", "</details>", "</summary>", "#1",
    "GH-12", "org/repo#3", "!4", ":octocat:", "$x$", "$", "&lt;", "&#64;team", "&commat;team", "~~a~~", "**b**", "_c_",
    "a@b.example", "\u0430dmin", "\u3164", "e\u0301", "4be1c02deadbeef", "https://user:hunter2secret@evil.example/", " ", "",
    "- a", "> b", "1. c", "| --- |", "%1", "~bug", "[ ] x", "[^1]", "x" * 5000,
)  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=30)), max_size=6).map("".join)
_usd = st.one_of(st.none(), st.floats(0, 1e9))
_names = st.one_of(texts, st.integers(0, 10**8).map(lambda index: f"chat-{index}"))
_causes = st.builds(
    Cause,
    key=st.one_of(st.sampled_from(["model", "gpu.name", "environment.TOKEN", "models.a.manifest"]), texts),
    old=st.one_of(st.none(), texts),
    new=st.one_of(st.none(), texts),
)
_instances = st.builds(
    InstanceReview,
    name=_names,
    fleet=texts,
    action=st.sampled_from(Action),
    because=st.lists(_causes, max_size=6).map(tuple),
    usd_per_hour=st.builds(Price, now=_usd, then=_usd, ceiling=_usd),
    down_seconds=st.one_of(st.none(), st.floats(0, 1e6)),
    down_why=texts,
    place=texts,
)
_offers = st.builds(
    OfferRow,
    offer_id=st.integers(0, 10**9),
    gpu=texts,
    where=texts,
    usd_per_hour=st.floats(0, 1e5),
    reliability=st.one_of(st.none(), st.floats(0, 1)),
    download_mbps=st.one_of(st.none(), st.floats(0, 1e6)),
    first_start_seconds=st.one_of(st.none(), st.floats(0, 1e6)),
)
_digests = st.one_of(st.none(), st.sampled_from(["a" * 64, "b" * 64]))
_files = st.lists(texts, max_size=6).map(tuple)
_models = st.builds(
    ModelReview,
    name=texts,
    need_gib=_usd,
    room_gib=_usd,
    start_gb=_usd,
    bucket_usd=texts,
    old_digest=_digests,
    new_digest=_digests,
    added=_files,
    removed=_files,
    changed=_files,
    flagged=_files,
)
_sentences = st.lists(texts, max_size=12).map(tuple)
reviews = st.builds(
    Review,
    stack=texts,
    verdict=st.sampled_from(Verdict),
    instances=st.lists(_instances, max_size=12).map(tuple),
    fleets=st.lists(
        st.builds(
            FleetReview,
            name=texts,
            fitting=st.one_of(st.none(), st.integers(0, 500)),
            offers=st.lists(_offers, max_size=6).map(tuple),
            trouble=texts,
            refusal=texts,
        ),
        max_size=6,
    ).map(tuple),
    models=st.lists(_models, max_size=5).map(tuple),
    periods=st.lists(
        st.builds(
            PeriodReview, name=texts, now=_usd, expected=_usd, ceiling=_usd, budget=_usd, spent=_usd, hours_left=_usd
        ),
        max_size=4,
    ).map(tuple),
    policy=st.lists(st.builds(PolicyResult, rule=texts, outcome=st.sampled_from(Outcome), says=texts), max_size=9).map(
        tuple
    ),
    risks=_sentences,
    refusals=_sentences,
    warnings=_sentences,
    flagged=_sentences,
    standing_at=st.one_of(st.none(), st.floats(0, 4e9)),
    binding=st.one_of(
        st.none(),
        st.builds(
            Binding,
            base=texts,
            head=texts,
            config=texts,
            manifests=texts,
            program=texts,
            at=st.floats(0, 4e9),
            price_drift=st.just(0.15),
            valid_hours=st.just(24.0),
        ),
    ),
    asked_at=st.floats(0, 4e9),
)
