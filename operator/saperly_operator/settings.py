"""The operator's settings, from the environment (prefix ``SAPERLY_``; a nested name after two underscores).

The only place, apart from ``wiring``, that reads the environment. The API's base URL is a setting and nothing else:
whoever may write a provider or a SaperlyKey must never choose where a service key is sent.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from saperly_operator.lifecycle.timings import Timings
from saperly_operator.saperly.transport import checked_base_url


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    TEXT = "text"


Seconds = Annotated[float, Field(gt=0)]


def _fit_for_a_credential(url: str) -> str:
    checked_base_url(url)
    return url


ApiUrl = Annotated[str, AfterValidator(_fit_for_a_credential)]


class Settings(BaseSettings):
    """Everything that can be set. Wrong values end the process at its start, with a message that names them."""

    model_config = SettingsConfigDict(
        env_prefix="SAPERLY_", env_nested_delimiter="__", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    api_url: ApiUrl = "https://saperly.com/api"
    """Base URL of the Saperly API, before ``/v1``. https, or http to a loopback host."""
    ca_bundle: Path | None = None
    """A file of CA certificates to trust for the Saperly API instead of the system's."""
    namespace: str = "saperly-system"
    """The operator's own namespace: service keys of cluster-wide providers and the installation live there."""
    identity: str = "saperly-operator"
    """The readable part of this process's name (the Pod's name, in a Pod); a random part is added."""
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """How many objects are worked on at the same time."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_format: LogFormat = LogFormat.JSON
    """json, or text for a terminal."""

    kube_timeout: Seconds = 30
    """Seconds that one request to the Kubernetes API may take."""
    vendor_connect_timeout: Seconds = 5
    """Seconds to connect to the Saperly API."""
    vendor_read_timeout: Seconds = 15
    """Seconds without a byte from the Saperly API."""
    vendor_timeout: Seconds = 30
    """Seconds that one call to the Saperly API may take as a whole."""
    provider_refresh: Seconds = 30
    """Seconds between two looks at a provider's Secrets."""
    drain: Seconds = 45
    """Seconds that a stopping operator may take to deliver keys that are minted already; less than the Pod's
    ``terminationGracePeriodSeconds``."""
    resync: Seconds = 600
    """Seconds between two full looks at everything, against what watches may have missed."""

    breaker_first: Seconds = 30
    """Seconds from a rejected service key to the first probe; doubled for each probe that fails."""
    breaker_limit: Seconds = 900
    """The longest wait for a probe."""
    timings: Timings = Timings()
    """The waits of the protocol, as ISO 8601 durations (``SAPERLY_TIMINGS__TAKEOVER_SETTLE=PT60S``). A production
    installation has no reason to change one."""
