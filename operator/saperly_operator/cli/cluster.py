"""``saperly-operator cluster``: keep a real control plane running, for a developer to try things on.

It runs in the foreground and takes everything with it when it ends: Ctrl-C, TERM, or a closed terminal.
"""

import time
from typing import Annotated

import typer
from rich.console import Console

from saperly_operator.cli.signals import unwind_on_signals
from saperly_operator.envtest import Assets, ControlPlane, EnvtestError


def cluster(
    users: Annotated[
        list[str] | None,
        typer.Option("--user", help="A further identity, without rights until RBAC gives some. Repeatable."),
    ] = None,
    nodes: Annotated[int, typer.Option(min=0, help="KWOK nodes; 0 runs etcd and the API server alone.")] = 2,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only find, download or build the binaries; start nothing.")
    ] = False,
) -> None:
    """Keep a real control plane running and print its KUBECONFIG.

    Etcd, kube-apiserver, controller manager, scheduler and KWOK nodes, without containers. The first time, the
    binaries are downloaded or built, which may take ten minutes; after that it is up in seconds.
    """
    console = Console(stderr=True)
    try:
        assets = Assets.of_this_machine(lambda line: console.print(line, style="dim", markup=False, highlight=False))
        if prepare:
            _prepare(assets)
        else:
            _keep_running(ControlPlane(users=users or (), with_nodes=nodes > 0, nodes=nodes, assets=assets), console)
    except EnvtestError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None


def _prepare(assets: Assets) -> None:
    for path in assets.ensure().values():
        typer.echo(path)


def _keep_running(plane: ControlPlane, console: Console) -> None:
    unwind_on_signals()
    try:
        with plane:
            console.print(f"[green]●[/green] Kubernetes is ready at {plane.url}", highlight=False)
            typer.echo(f"export KUBECONFIG={plane.kubeconfig()}")
            for user in plane.users:
                typer.echo(f"# as {user}: export KUBECONFIG={plane.kubeconfig(user)}")
            console.print("Ctrl-C stops it and removes everything.", style="dim")
            while True:
                plane.check()
                time.sleep(1)
    except KeyboardInterrupt:
        console.print("stopped", style="dim")
