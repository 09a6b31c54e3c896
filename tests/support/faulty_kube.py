"""A ``Kube`` around another that notes every call and goes wrong to order: once, before the commit or after it."""

from dataclasses import dataclass, field

from saperly_operator.kube.api import PLAIN, Kube, Object, PatchOptions, Resource
from saperly_operator.kube.errors import KubeError


@dataclass
class Fault:
    """The ``nth`` call that reads like ``call`` (see ``FaultyKube.calls``) fails with ``error``.

    ``after``: it takes effect all the same, and only its answer is lost."""

    call: str
    error: KubeError
    after: bool = False
    nth: int = 1


@dataclass
class FaultyKube:
    """See the module's text. ``calls`` reads like ``PATCH saperlykeys/status`` or ``POST secrets dry``."""

    inner: Kube
    calls: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def writes(self) -> list[str]:
        """The calls that are no reads."""
        return [call for call in self.calls if not call.startswith(("GET", "LIST"))]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        self._note(f"GET {resource.plural}", after=False)
        body = await self.inner.get(resource, namespace, name)
        self._spoil(f"GET {resource.plural}", after=True)
        return body

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Object]:
        self._note(f"LIST {resource.plural}", after=False)
        return await self.inner.list(resource, namespace, labels)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        call = f"POST {resource.plural}{' dry' if dry_run else ''}"
        self._note(call, after=False)
        created = await self.inner.create(resource, namespace, body, dry_run=dry_run)
        self._spoil(call, after=True)
        return created

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: PatchOptions = PLAIN
    ) -> Object:
        subresource = f"/{options.subresource}" if options.subresource else ""
        call = f"PATCH {resource.plural}{subresource}{' dry' if options.dry_run else ''}"
        self._note(call, after=False)
        patched = await self.inner.patch(resource, namespace, name, patch, options=options)
        self._spoil(call, after=True)
        return patched

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str) -> None:
        call = f"DELETE {resource.plural}"
        self._note(call, after=False)
        await self.inner.delete(resource, namespace, name, uid=uid, version=version)
        self._spoil(call, after=True)

    def _note(self, call: str, *, after: bool) -> None:
        self.calls.append(call)
        for fault in self.faults:
            if fault.call == call:
                fault.nth -= 1
        self._spoil(call, after=after)

    def _spoil(self, call: str, *, after: bool) -> None:
        for fault in self.faults:
            if fault.call == call and fault.nth == 0 and fault.after is after:
                self.faults.remove(fault)
                raise fault.error
