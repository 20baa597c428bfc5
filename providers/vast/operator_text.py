"""Format errors for the operator, including a full disk of this computer or a folder of another user."""

from bootstrap.errors import BootstrapError
from providers.engine_watch import EngineGone
from providers.vast.api.errors import VastError
from providers.vast.rollout import RolloutStoppedError
from providers.vast.search.why_not import NoMatchingOffer
from providers.vast.settings import InstanceSettings

EXPECTED = (VastError, BootstrapError, EngineGone, RolloutStoppedError, OSError)


def describe_for_operator(error: Exception, name: str, settings: InstanceSettings | None = None) -> str:
    """Return an error's text, beginning with the instance's name.

    For a disk error the text also names the remedy. If the instance's settings are known, an error about offers names
    the key of the fleet's section.
    """
    text = error.of_fleet(settings.fleet) if isinstance(error, NoMatchingOffer) and settings else str(error)
    if isinstance(error, OSError):
        text = (
            f"a file of this computer cannot be read or written ({error}). Make room on its disk, or let this user write "
            "there, and run the command again: it goes on with what is rented. `gpu-fleet sweep` lists that."
        )
    return text if text.startswith(f"{name}: ") else f"{name}: {text}"
