"""``saperly-operator orphans``: keys in use at Saperly that nothing in the cluster refers to, and their end by command.

The operator shows them in the status of their SaperlyKey, or of the provider when that is gone. The command reads
that, and asks for an end by an annotation there: the operator alone holds the service key, and decides once more.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from saperly_operator.cli.session import fail, with_cluster
from saperly_operator.kube.api import CLUSTER_PROVIDERS, PLAIN, PROVIDERS, SAPERLY_KEYS, Kube, Object, Resource
from saperly_operator.resources import annotations

orphans = typer.Typer(help="Keys in use at Saperly that nothing in the cluster refers to.", no_args_is_help=True)

_KINDS = (SAPERLY_KEYS, CLUSTER_PROVIDERS, PROVIDERS)


@dataclass(frozen=True, slots=True)
class Orphan:
    """One such key, and the object that shows it."""

    id: str
    prefix: str
    name: str
    resource: Resource
    shown_by: Object

    @property
    def place(self) -> str:
        """``saperlykeys agents/support``: the object, for people."""
        metadata = self.shown_by["metadata"]
        path = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
        return f"{self.resource.plural} {path}"

    @property
    def is_ordered(self) -> bool:
        """Whether its end was asked for already."""
        marks = self.shown_by["metadata"].get("annotations") or {}
        return self.id in annotations.listed_ids(marks.get(annotations.REVOKE_ORPHANS, ""))


async def find_orphans(kube: Kube) -> list[Orphan]:
    """All that the cluster shows. Raises KubeError."""
    return [orphan for resource in _KINDS for body in await kube.list(resource) for orphan in _shown(resource, body)]


def _shown(resource: Resource, body: Object) -> Iterator[Orphan]:
    for each in (body.get("status") or {}).get("unowned") or []:
        yield Orphan(each["id"], each.get("prefix", ""), each.get("name", ""), resource, body)


async def order_revocation(kube: Kube, key_id: str) -> list[Orphan]:
    """Ask for the end of one key wherever it is shown; returns where. Raises KubeError."""
    found = [orphan for orphan in await find_orphans(kube) if orphan.id == key_id]
    for orphan in found:
        metadata = orphan.shown_by["metadata"]
        ids = annotations.listed_ids((metadata.get("annotations") or {}).get(annotations.REVOKE_ORPHANS, ""))
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {annotations.REVOKE_ORPHANS: ",".join(sorted(ids | {key_id}))},
            }
        }
        await kube.patch(orphan.resource, metadata.get("namespace"), metadata["name"], patch, options=PLAIN)
    return found


@orphans.command("list")
def list_orphans() -> None:
    """List keys in use that nothing refers to, and where each is shown."""
    found = with_cluster(find_orphans)
    if not found:
        typer.echo("There are none.")
    for orphan in found:
        ordered = "  (its end was asked for)" if orphan.is_ordered else ""
        typer.echo(f"{orphan.id}  {orphan.prefix}…  {orphan.name}  {orphan.place}{ordered}")


@orphans.command()
def revoke(key_id: str) -> None:
    """Ask the operator to revoke one of them although it is in use. KEY_ID is its id at Saperly."""
    found = with_cluster(lambda kube: order_revocation(kube, key_id))
    if not found:
        fail(f"no object shows {key_id} as a key in use that nothing refers to: see 'saperly-operator orphans list'")
    for orphan in found:
        typer.echo(f"asked for by the annotation {annotations.REVOKE_ORPHANS} on {orphan.place}")
    typer.echo("The operator revokes it at the next sweep.")
