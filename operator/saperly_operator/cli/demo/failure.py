"""Why the demo ends early."""


class DemoFailure(Exception):
    """Something is not as it should be; the message says what, and holds no credential."""
