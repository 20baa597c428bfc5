"""Keeps secrets out of the engine's event log, which holds the SDK's debug lines as they are.

Pulumi's SDK before 3.272 writes all outputs of a stack, secret ones in plain, into such a line after `props=`
(pulumi/pulumi#24479). The operator's own SDK may be of any version from ours on, so the program cuts these lines.
"""

import functools
from typing import Any

import pulumi

MARK = ", props="


def cut_properties() -> None:
    """Have the SDK's debug lines end where properties begin; a second call changes nothing."""
    written = pulumi.log.debug
    if getattr(written, "cuts_properties", False):
        return

    @functools.wraps(written)
    def debug(msg: str, *rest: Any, **named: Any) -> None:
        written(msg.partition(MARK)[0], *rest, **named)

    debug.cuts_properties = True  # type: ignore[attr-defined]
    pulumi.log.debug = debug
