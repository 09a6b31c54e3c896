"""What a user, an administrator and a person in the portal do, for the tests of one module that share one world.

Each test uses a SaperlyKey of its own name; what the vendor minted for it is found by the tag in the key's name at the
vendor, so that tests never see each other's keys.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.simulator.control_client import SimulatorControl
from saperly_operator.simulator.state import Child, Operation
from tests.cluster.conftest import Kubectl, KubectlError
from tests.cluster.world import World, a_world
from tests.support.processes import OperatorProcess
from tests.support.waiting import eventually

RECORD_PREFIX = "saperly.com/"
ENTRY = "SAPERLY_API_KEY"

NO_LIMITS = {"mintsPerHour": 100_000, "rotatesPerHour": 100_000, "listsPerHour": 100_000}


class User:
    """Acts in the namespace of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kubectl = world.kubectl
        self.namespace = world.namespace
        self._more_providers: list[str] = []

    def in_namespace(self, namespace: str) -> "User":
        """The same user in another namespace, which the test has made."""
        world = copy(self.world)
        world.namespace = namespace
        return User(world)

    @property
    def vendor(self) -> SimulatorControl:
        """The portal, and the vendor's books."""
        control: SimulatorControl = self.world.vendor
        return control

    @property
    def installation(self) -> str:
        """The id under which the operator of this world mints."""
        config = self.kubectl.read("ConfigMap", "saperly-operator-installation", namespace=self.world.system)
        return str(config["data"]["id"])

    # --- SaperlyKeys --------------------------------------------------------------------------------------------

    def ready(self, name: str, **spec: Any) -> dict[str, Any]:
        """Apply a SaperlyKey and wait until it is Ready."""
        self.world.apply_key(name, **spec)
        return self.world.wait_ready(name)

    def patch(self, name: str, patch: Mapping[str, Any], *, subresource: str | None = None) -> None:
        """A merge patch of a SaperlyKey."""
        extra = [f"--subresource={subresource}"] if subresource else []
        self.kubectl(
            "patch",
            "skey",
            name,
            f"--namespace={self.namespace}",
            "--type=merge",
            f"--patch={json.dumps(patch)}",
            *extra,
        )

    def change(self, name: str, **spec: Any) -> None:
        """Change a SaperlyKey's spec; None takes a field out."""
        self.patch(name, {"spec": spec})

    def annotate(self, name: str, **annotations: str | None) -> None:
        """Set annotations of ours (underscores for dashes, the prefix left out), None to take one off."""
        named = {RECORD_PREFIX + each.replace("_", "-"): value for each, value in annotations.items()}
        self.patch(name, {"metadata": {"annotations": named}})

    def delete(self, name: str) -> None:
        """Ask for a SaperlyKey's deletion, and do not wait."""
        self.kubectl("delete", "skey", name, f"--namespace={self.namespace}", "--wait=false")

    def status(self, name: str) -> dict[str, Any]:
        """The status of a SaperlyKey; empty before it has one."""
        status: dict[str, Any] = self.world.key(name).get("status", {})
        return status

    def conditions(self, name: str) -> dict[str, dict[str, Any]]:
        """The conditions of a SaperlyKey by type."""
        return {each["type"]: each for each in self.status(name).get("conditions", [])}

    def wait(self, name: str, what: str, is_so: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Until the SaperlyKey, as a whole, is as ``is_so`` says; returns it."""
        return eventually(lambda: key if is_so(key := self.world.key(name)) else None, f"{name}: {what}")

    def wait_settled(self, name: str) -> dict[str, Any]:
        """Until the operator saw the present generation and rests, with nothing stalled; returns the object."""

        def at_rest(key: dict[str, Any]) -> bool:
            status = key.get("status", {})
            seen = status.get("observedGeneration") == key["metadata"]["generation"]
            kinds = {each["type"] for each in status.get("conditions", [])}
            return seen and "Ready" in kinds and not kinds & {"Reconciling", "Stalled"}

        return self.wait(name, "is at rest", at_rest)

    def wait_rotated(self, name: str, before: str) -> dict[str, Any]:
        """Until another key than ``before`` is current and all is at rest; returns the object."""
        self.wait(
            name, "has another key", lambda key: key["status"].get("current", {}).get("id") not in {None, before}
        )
        return self.wait_settled(name)

    # --- Secrets ------------------------------------------------------------------------------------------------

    def secret(self, name: str) -> dict[str, Any]:
        """A Secret, with its data: never print it."""
        secret: dict[str, Any] = self.kubectl.read("Secret", name, namespace=self.namespace)
        return secret

    def has_secret(self, name: str) -> bool:
        return name in self.world.secret_names()

    def patch_secret(self, name: str, patch: Mapping[str, Any]) -> None:
        self.kubectl(
            "patch", "secret", name, f"--namespace={self.namespace}", "--type=merge", f"--patch={json.dumps(patch)}"
        )

    def delete_secret(self, name: str) -> None:
        self.kubectl("delete", "secret", name, f"--namespace={self.namespace}")

    def digest(self, secret: str, entry: str = ENTRY) -> str:
        """The SHA-256 of what a Secret holds, as the vendor's ledger has it of a key."""
        plaintext = base64.b64decode(self.secret(secret)["data"][entry])
        return hashlib.sha256(plaintext).hexdigest()

    # --- at the vendor ------------------------------------------------------------------------------------------

    def minted(self, name: str) -> list[Child]:
        """Every key ever minted for a SaperlyKey and not released, oldest first."""
        installation, owner = self.installation, Owner(self.namespace, name)
        tagged = ((child, Tag.parse(child.name)) for child in self.vendor.ledger())
        return [child for child, tag in tagged if tag is not None and tag.belongs_to(installation, owner)]

    def child(self, key_id: str) -> Child:
        """One key by its id, live or revoked."""
        return {child.id: child for child in self.vendor.ledger()}[key_id]

    def wait_revoked(self, key_id: str) -> Child:
        """Until a key is revoked; returns it."""
        return eventually(
            lambda: child if (child := self.child(key_id)).revoked_at else None, f"the key {key_id} is revoked"
        )

    def wait_named(self, name: str, serial: int) -> Child:
        """Until the one live key of a SaperlyKey bears that serial in its name; returns it."""
        return eventually(
            lambda: child if (child := self.only_live(name)).name.endswith(f".{serial}]") else None,
            f"the key of {name} bears the serial {serial}",
        )

    def only_live(self, name: str) -> Child:
        """The one live key of a SaperlyKey; fails when there is none, or another."""
        (child,) = [child for child in self.minted(name) if child.is_live]
        return child

    def calls(self, *operations: Operation, after: int = 0) -> int:
        """How many calls of these operations the vendor got since ``call_number`` was ``after``; all by default."""
        records = self.vendor.calls(after)
        return sum(1 for record in records if not operations or record.operation in operations)

    def call_number(self) -> int:
        """The number of the vendor's last call, for ``calls``."""
        return max((record.number for record in self.vendor.calls()), default=0)

    @property
    def portal_service_key_id(self) -> str:
        """The id of the service key that this world's provider was installed with."""
        return self.vendor.service_keys()[0].id

    def edit_in_portal(self, key_id: str, changes: Mapping[str, object]) -> None:
        """Change a key at the vendor behind the operator's back."""
        request = Request(  # to this test's own simulator
            f"{self.world.simulator.base_url}/v1/keys/{key_id}",
            data=json.dumps(changes).encode(),
            headers={"Authorization": f"Bearer {self.service_key}", "Content-Type": "application/json"},
            method="PATCH",
        )
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            assert answer.status == 200

    @property
    def service_key(self) -> str:
        """The plaintext of that service key: never print it."""
        return self.world.simulator.service_key_file.read_text().strip()

    # --- the operator's process ---------------------------------------------------------------------------------

    @property
    def operator(self) -> OperatorProcess:
        """The running operator."""
        assert self.world.operator is not None
        return self.world.operator

    @contextmanager
    def operator_down(self) -> Iterator[None]:
        """No operator runs within the block; one is up and has looked at everything after it."""
        self.operator.terminate()
        yield
        self.world.start_operator()

    # --- providers ----------------------------------------------------------------------------------------------

    def patch_provider(self, patch: Mapping[str, Any]) -> None:
        """A merge patch of this world's provider."""
        self.kubectl("patch", "csprov", self.world.provider, "--type=merge", f"--patch={json.dumps(patch)}")

    def provider_ready(self, name: str) -> dict[str, Any]:
        """The condition Ready of a ClusterSaperlyProvider; LookupError while it has none."""
        conditions = self.kubectl.read("ClusterSaperlyProvider", name)["status"]["conditions"]
        found: dict[str, Any] = {each["type"]: each for each in conditions}["Ready"]
        return found

    def wait_sweeps(self, count: int) -> None:
        """Until the operator has listed the keys at the vendor ``count`` more times, and has acted on it.

        The sweep lists, acts, and only then lists again: so one list more than ``count`` is waited for.
        """
        before = self.call_number()
        eventually(lambda: self.calls(Operation.LIST, after=before) > count, f"{count} sweeps have gone by")

    def add_provider(self, name: str, secret: str) -> None:
        """Another provider like this world's, whose service key is in another Secret beside it."""
        provider = self.world.provider_object(
            limits=NO_LIMITS, serviceKeys=[{"name": "main", "secretRef": {"name": secret}}]
        )
        self.kubectl.apply(provider | {"metadata": {"name": name}})
        self._more_providers.append(name)

    def close(self) -> None:
        """Take away what the world does not know of."""
        for name in self._more_providers:
            self.kubectl("delete", "csprov", name, "--ignore-not-found", "--wait=false")


@contextmanager
def a_user(kubectl: Kubectl, operator_kubeconfig: Path, folder: Path, name: str) -> Iterator[User]:
    """A world in a namespace ``name``, with every hourly limit lifted and its operator running."""
    kubectl("create", "namespace", name)
    with a_world(kubectl, operator_kubeconfig, folder, name) as world:
        world.install(limits=NO_LIMITS)
        world.vendor.lift_limits()
        world.start_operator()
        user = User(world)
        yield user
        user.close()
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def holds_key(user: User, secret: str, key_id: str) -> bool:
    """Whether the Secret holds the plaintext of that key, by the vendor's ledger."""
    try:
        return user.digest(secret) == user.child(key_id).digest
    except (KubectlError, LookupError):
        return False
