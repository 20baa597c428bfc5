"""What people complain about in programs that post plans into pull requests: each number has a test that names it."""

import re

from tests.doubles.dynamic_process import ROOT

COMPLAINTS = {
    1: "a comment over the forge's 65,536 characters is lost (pulumi/actions #482)",
    2: "each run adds a comment (atlantis #416, digger #370)",
    3: "a comment where nothing changes (infracost #3051)",
    4: "the summary is buried or cut (actions #969)",
    5: "outputs of the stack pollute the comment (actions #849)",
    6: "a stale plan reverts another pull request (atlantis #2084)",
    7: "locks stay behind (atlantis #5708, digger #1669)",
    8: "secrets stand in comments (digger #2677)",
    9: "artifacts of plans hold secrets (cal-itp/benefits #3926)",
    10: "a kept plan is violated or cannot be decrypted (pulumi #17546, #16412)",
    11: "a fork is left out, and its check is green",
    12: "another price is charged than was shown (dstack #1886), from a stale catalogue (skypilot #4904)",
    13: "a missing price is shown as a saving (infracost #3270)",
}
NAMED = re.compile(r"^def test_complaints?_(\d+)(?:_and_(\d+))?_", re.MULTILINE)


def test_each_complaint_has_a_test_with_its_number() -> None:
    texts = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    found = {int(number) for text in texts for pair in NAMED.findall(text) for number in pair if number}

    assert found == set(COMPLAINTS)
