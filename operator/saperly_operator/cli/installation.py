"""``saperly-operator installation``: whose keys these are, when a cluster was restored elsewhere or cloned."""

import secrets
from collections import Counter
from typing import Annotated

import typer

from saperly_operator.cli.session import fail, with_cluster
from saperly_operator.controller.installation import CONFIG_MAP, Record, begin_anew, read_record
from saperly_operator.controller.installation import move as go_on_here
from saperly_operator.kube.api import SAPERLY_KEYS, Kube
from saperly_operator.kube.errors import NotFound

installation = typer.Typer(
    help="The identity under which keys are minted: show it, and decide after a restore or a clone.",
    no_args_is_help=True,
)

Namespace = Annotated[
    str, typer.Option("--namespace", "-n", envvar="SAPERLY_NAMESPACE", help="The operator's own namespace.")
]
_DEFAULT = "saperly-system"
_ENDS = (
    "A running operator ends itself within a minute, for Kubernetes to start it again; else start it again yourself."
)


async def _shown(kube: Kube, namespace: str) -> tuple[Record, Counter[str]]:
    record = await _record(kube, namespace)
    owners = ((body.get("status") or {}).get("installation") for body in await kube.list(SAPERLY_KEYS))
    return record, Counter(owner or "" for owner in owners)


async def _record(kube: Kube, namespace: str) -> Record:
    try:
        return await read_record(kube, namespace)
    except NotFound:
        fail(f"there is no ConfigMap {CONFIG_MAP} in the namespace {namespace}: no operator has run there yet")


@installation.command()
def show(namespace: Namespace = _DEFAULT) -> None:
    """Show the installation, the cluster it was made in, and whose the SaperlyKeys here are."""
    record, owners = with_cluster(lambda kube: _shown(kube, namespace))
    for line in described(record, owners):
        typer.echo(line)


def described(record: Record, owners: Counter[str]) -> list[str]:
    """What ``show`` says. ``owners`` counts SaperlyKeys by the installation in their status."""
    others = sum(count for owner, count in owners.items() if owner not in ("", record.id))
    state = (
        "confirmed: this is the cluster that it was made in"
        if record.installation.confirmed
        else "undecided: nothing is changed at Saperly until you run 'installation move' or 'installation new'"
    )
    return [
        f"installation   {record.id or '(lost)'}",
        f"made in        {record.made_in or '(unknown)'}",
        f"this cluster   {record.here}",
        f"state          {state}",
        f"SaperlyKeys    {owners[record.id]} of it, {others} of other installations, {owners['']} without a key yet",
        *(f"before         {former}" for former in record.former),
    ]


@installation.command()
def move(namespace: Namespace = _DEFAULT) -> None:
    """The installation goes on here: the cluster that it was made in is gone, or no operator runs there any more.

    Keys and Secrets stay as they are. Never do this while the other operator runs: both would rotate the same keys.
    """

    async def work(kube: Kube) -> tuple[Record, Record]:
        record = await _record(kube, namespace)
        if not record.id or record.installation.confirmed:
            return record, record
        return record, await go_on_here(kube, namespace, record)

    before, after = with_cluster(work)
    if not before.id:
        fail(f"the ConfigMap {CONFIG_MAP} has lost its id: put it back under data.id, or run 'installation new'")
    if before == after:
        typer.echo(f"The installation {after.id} is this cluster's already; nothing was changed.")
        return
    typer.echo(f"The installation {after.id} goes on in this cluster ({after.here}).")
    typer.echo(_ENDS)


@installation.command()
def new(
    namespace: Namespace = _DEFAULT,
    force: Annotated[
        bool, typer.Option("--force", help="Even though the installation is this cluster's own.")
    ] = False,
) -> None:
    """Another installation begins here: the cluster of the former one lives on, and its keys are its own.

    SaperlyKeys that came along are left alone and say so. To have keys of its own for one, annotate it with
    saperly.com/force-delete: "true", delete it and its Secret, and apply it again.
    """

    async def work(kube: Kube) -> tuple[Record, Record]:
        record = await _record(kube, namespace)
        if record.installation.confirmed and not force:
            return record, record
        return record, await begin_anew(kube, namespace, record, secrets.token_bytes(16).hex())

    before, after = with_cluster(work)
    if before == after:
        fail(
            f"the installation {after.id} is this cluster's own: another would leave every key here without its "
            "operator. Use --force if that is meant."
        )
    typer.echo(f"The installation {after.id} begins in this cluster; the former was {before.id or 'lost'}.")
    typer.echo(_ENDS)
