"""Whether a service key is still the one that minted the keys here: asked once for each new content of a Secret.

A service key sees only what it minted itself. Another one in the same Secret would answer 404 for every key here, list
none of them, and mint beside them; so before it is used it has to show one key that status knows (a GET). What was
trusted is noted in the provider's status, so that a restart asks nothing.
"""

from datetime import datetime

from saperly_operator.clock import Clock
from saperly_operator.controller.cache import Cache, key_refs
from saperly_operator.controller.observe import entry_key
from saperly_operator.controller.service_keys import EntryKey, Handle, ServiceKeys
from saperly_operator.controller.vendor import GateShut, look_at_key
from saperly_operator.kube.api import Object
from saperly_operator.resources import annotations, reasons
from saperly_operator.saperly.errors import NotVisible, SaperlyError

_ASKED_AT_MOST = 3


class ServiceKeyProof:
    """Trusts a service key, or doubts it (see ``ServiceKeys.doubt_it``)."""

    def __init__(self, cache: Cache, service_keys: ServiceKeys, clock: Clock) -> None:
        self._cache = cache
        self._service_keys = service_keys
        self._clock = clock

    async def judge(self, entry: EntryKey, handle: Handle, vouched: tuple[str | None, ...]) -> None:
        """``vouched`` are materials that the provider's status says were trusted, or an administrator accepts."""
        if handle.material in (self._service_keys.proven(entry), *vouched):
            self._service_keys.trust(entry, handle.material)
            return
        children = self._children(entry)
        if not children or await self._shows_one(entry, handle, children):
            self._service_keys.trust(entry, handle.material)

    async def _shows_one(self, entry: EntryKey, handle: Handle, children: list[str]) -> bool:
        for child in children[:_ASKED_AT_MOST]:
            try:
                await look_at_key(handle, child, self._clock)
            except NotVisible:
                continue
            except (GateShut, SaperlyError):
                message = (
                    "The provider's Secret holds another service key; Saperly has not answered yet whether it sees "
                    "the keys minted so far. It is asked again by itself."
                )
                self._service_keys.doubt_it(entry, reasons.SERVICE_KEY_UNPROVEN, message)
                return False
            return True
        message = (
            "The provider's Secret holds a service key that sees none of the keys minted so far: nothing is minted or "
            "revoked with it. Put the former one back, or make a second provider for the new one and change "
            "spec.providerRef of the SaperlyKeys. If the former one is gone for good, annotate the provider with "
            f"{annotations.ACCEPT_SERVICE_KEY}: {handle.material}; the keys minted with it can then only be revoked in "
            "the Saperly portal."
        )
        self._service_keys.doubt_it(entry, reasons.SERVICE_KEY_REPLACED, message)
        return False

    def _children(self, entry: EntryKey) -> list[str]:
        """Ids of keys that status says this entry minted, the newest first; those known to be hidden tell nothing."""
        found = [
            (datetime.fromisoformat(ref["mintedAt"]), ref["id"])
            for body in self._cache.bodies()
            for ref in key_refs(body)
            if not ref.get("hiddenSince") and _minted_by(ref, body["metadata"]["namespace"], entry)
        ]
        return [child for _, child in sorted(found, reverse=True)]


def _minted_by(ref: Object, namespace: str, entry: EntryKey) -> bool:
    try:
        return entry_key((ref["provider"], ref["serviceKey"]), namespace) == entry
    except ValueError:
        return False
