"""What replacing the identity means: every label is made of its id, so every instance would be another one."""

from providers.pulumi_state import Run, state_named


def refusal(run: Run, stack: str) -> str:
    """Return why a stack's identity is not made anew; empty where no instance of the stack is in its state.

    A state that cannot be read refuses nothing: that of a new stack is not there yet.
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
