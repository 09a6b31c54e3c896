"""The operator with its libraries' loggers unmuted, for the test that even those show no credential.

The product holds them at WARNING whatever the level is; here DEBUG means DEBUG for httpx, kopf and all others.
"""

from saperly_operator import logs

logs._NOISY = ()  # type: ignore[assignment]

if __name__ == "__main__":
    from saperly_operator.cli.main import app

    app()
