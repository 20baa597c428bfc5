"""What counts as a cut request, by which tests of real hosts judge: whole, refused and left ones do not."""

from dataclasses import replace

import pytest

from tests.doubles.load import Sent, cut

OPEN, KILLS = [(0.0, 100.0), (110.0, 200.0)], [(103.0, 104.0)]
WHOLE = Sent("http2", streams=True, at=10.0, ended=11.0, status=200, body="data: x\n\ndata: [DONE]\n\n", complete=True)
NO_ANSWER = replace(WHOLE, status=None, body="", complete=False, trouble="ReadError")


@pytest.mark.parametrize(
    "sent",
    [
        WHOLE,
        replace(WHOLE, status=503, body='{"error":"closed"}'),
        replace(
            WHOLE, status=503, body='{"error":"closed"}', complete=False, trouble="ValueError of the client's library"
        ),
        replace(WHOLE, status=503, body='{"err', complete=False),  # the host ended while its gate refused
        replace(WHOLE, status=None, left=True),
        replace(NO_ANSWER, at=102.0, ended=103.5),  # the gate was closed when it was sent
        replace(NO_ANSWER, at=120.0, ended=120.02),  # over a connection that had died before
    ],
)
def test_nobody_cut_these(sent: Sent) -> None:
    assert cut([sent], OPEN, KILLS) == []


@pytest.mark.parametrize(
    "sent",
    [
        replace(WHOLE, body="data: x\n\n"),
        replace(WHOLE, complete=False),
        replace(WHOLE, status=502, body=""),
        replace(WHOLE, status=503, body="Service Unavailable"),
        replace(WHOLE, status=503, body=""),
        replace(WHOLE, status=503, body="Service", complete=False),
        replace(NO_ANSWER, at=99.0, ended=103.5),
        replace(NO_ANSWER, kind="fresh", at=120.0, ended=120.02),
    ],
)
def test_these_were_cut(sent: Sent) -> None:
    assert cut([sent], OPEN, KILLS) == [sent]
