"""What can go wrong here, in words for the person at the terminal.

EnvtestError
├── AssetsError              a binary can be neither found, downloaded nor built
│   └── UnavailableError   this one source does not have it; the next one is asked
└── ControlPlaneError        a component did not start, or died
"""


class EnvtestError(Exception):
    """The root: its message says what to do and is fit to be shown without a traceback."""


class AssetsError(EnvtestError):
    """A binary cannot be provided."""


class UnavailableError(AssetsError):
    """One source does not have the binary. Never leaves ``Assets``."""


class ControlPlaneError(EnvtestError):
    """A component of the control plane did not start in time, or died; names its log."""
