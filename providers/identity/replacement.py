"""Refuse to replace the identity while instances run: every label holds its id, so that all would be replaced."""

from providers.vast.pulumi_state import Run, state_named


def refusal(run: Run, stack: str) -> str:
    """Return why a stack's identity must not be replaced; empty if the stack's state has no instance.

    Also empty if the state cannot be read, because a new stack has none yet.
    """
    state = state_named(run, stack) if stack else None
    if state is None or state.trouble or not state.stack_id or not state.instances:
        return ""
    names = ", ".join(sorted(state.instances))
    return (
        f"the identity of this stack ({state.stack_id}) would be made anew: its SSH key, CA and tokens would be lost, and "
        f"each instance would be given back and another one rented ({names}). Nothing was changed. New keys come with a "
        "higher `rotation` in stack config. If you want to start over, run `pulumi destroy` first."
    )
