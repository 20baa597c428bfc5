"""Keeps secrets out of the engine's event log, which stores the SDK's debug lines unchanged.

Pulumi's SDK before 3.272 writes all outputs of a stack, also secret ones in plain, into such a line after `props=`
(pulumi/pulumi#24479). The operator may use an SDK of any version from ours on, so the program cuts these lines.
"""

import functools
from typing import Any

import pulumi

MARK = ", props="


def cut_properties() -> None:
    """Cut the SDK's debug lines before their properties. A second call changes nothing."""
    written = pulumi.log.debug
    if getattr(written, "cuts_properties", False):
        return

    @functools.wraps(written)
    def debug(msg: str, *rest: Any, **named: Any) -> None:
        written(msg.partition(MARK)[0], *rest, **named)

    debug.cuts_properties = True  # type: ignore[attr-defined]
    pulumi.log.debug = debug
