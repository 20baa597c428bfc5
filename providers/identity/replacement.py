"""Refuse to replace the identity while instances run: every label holds its id, so that all would be replaced."""

from providers.vast.pulumi_state import BackendError, Run, slots_of, state_named


def refusal(run: Run, stack: str) -> str:
    """Return why a stack's identity must not be replaced; empty if neither its state nor a slot's has an instance.

    Also empty if the state cannot be read, because a new stack has none yet.
    """
    state = state_named(run, stack) if stack else None
    if state is None or state.trouble or not state.stack_id:
        return ""
    names = ", ".join([*sorted(state.instances), *_slots(run, stack)])
    if not names:
        return ""
    return (
        f"the identity of this stack ({state.stack_id}) would be made anew: its SSH key, CA and tokens would be lost, and "
        f"each instance would be given back and another one rented ({names}). Nothing was changed. New keys come with a "
        "higher `rotation` in stack config. If you want to start over, run `pulumi destroy` first."
    )


def _slots(run: Run, stack: str) -> list[str]:
    """Return the slots that may have an instance; one whose state cannot be read may."""
    try:
        states = [state_named(run, name) for name in slots_of(run, stack)]
    except (BackendError, ValueError) as error:
        return [f"slots, which cannot be listed: {error}"]
    return [state.stack for state in states if state.instances or state.creating or state.trouble]
