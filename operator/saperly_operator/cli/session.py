"""What the commands for administrators share: one conversation with the cluster, and errors as one line."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import typer

from saperly_operator.kube.api import Kube, NoCredentials, connect
from saperly_operator.kube.errors import KubeError

Result = TypeVar("Result")

_TIMEOUT = 30.0


def with_cluster(work: Callable[[Kube], Awaitable[Result]]) -> Result:
    """Do ``work`` with the credentials of the current kubeconfig, or of the Pod; ends the command when it cannot."""

    async def session() -> Result:
        async with connect(request_timeout=_TIMEOUT, pool_size=4) as kube:
            return await work(kube)

    try:
        return asyncio.run(session())
    except NoCredentials as error:
        fail(f"no access to a cluster: set KUBECONFIG ({error})")
    except KubeError as error:
        fail(f"the Kubernetes API did not do as asked: {error}")


def fail(message: str) -> NoReturn:
    """End the command with exit code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
