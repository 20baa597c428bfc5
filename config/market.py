"""The section `market` of stack config."""

from pydantic import Field

from config.base import Section

DEFAULT_URL = "https://console.vast.ai"


class MarketConfig(Section):
    """The market that the stack rents from."""

    url: str = Field(DEFAULT_URL, description="Base URL of the vast.ai API.")
    host_url: str = Field(
        "", alias="hostUrl", description="The same API as the instances reach it, if it differs from `url`."
    )
    time_scale: float = Field(
        1.0,
        alias="timeScale",
        gt=0,
        description="How many market seconds pass in one of ours; 1 on the real market, more in the sandbox.",
    )

    @property
    def url_of_hosts(self) -> str:
        """The market's URL as hosts reach it."""
        return self.host_url or self.url


class WrittenMarket(MarketConfig):
    """The market as a resource's inputs and state name it.

    The URL is required there: a default would send the key of one market to another.
    """

    url: str
