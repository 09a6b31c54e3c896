"""``saperly-operator run``: the operator itself, configured by the environment."""

import asyncio
import sys

import typer
from pydantic import ValidationError

from saperly_operator import wiring
from saperly_operator.kube.api import NoCredentials
from saperly_operator.kube.errors import KubeError
from saperly_operator.logs import configure_logging
from saperly_operator.settings import Settings


def run() -> None:
    """Run the operator against the cluster it is in, or the current kubeconfig. Settings: SAPERLY_… variables."""
    try:
        settings = Settings()
        configure_logging(settings.log_level, settings.log_format)
    except ValidationError as error:
        problems = (f"SAPERLY_{'__'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        typer.echo("wrong settings:\n  " + "\n  ".join(problems), err=True)
        sys.exit(2)
    except ValueError as error:
        typer.echo(f"wrong settings: {error}", err=True)
        sys.exit(2)
    try:
        asyncio.run(wiring.run(settings))
    except NoCredentials as error:
        typer.echo(f"no access to a cluster: set KUBECONFIG, or run in a Pod ({error})", err=True)
        sys.exit(1)
    except KubeError as error:
        typer.echo(f"the Kubernetes API cannot be used: {error}", err=True)
        sys.exit(1)
