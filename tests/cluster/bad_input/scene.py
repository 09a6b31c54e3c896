"""Where bad input is tried: many SaperlyKeys at once, each with a provider, a service key and an account of its own.

So that one cause never touches another object, everything about one case carries that case's name: the SaperlyKey,
its provider, the Secret of the service key, and the account at the vendor.
"""

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saperly_operator.envtest import ControlPlane
from saperly_operator.envtest.audit import Request
from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.calls import CallRecord
from saperly_operator.simulator.control_client import SimulatorControl
from saperly_operator.simulator.control_orders import ServiceKeyOrder
from saperly_operator.simulator.state import Child, Operation
from tests.cluster.conftest import OPERATOR, Kubectl, KubectlError
from tests.cluster.world import World, a_world
from tests.support.waiting import eventually

ENTRY = "SAPERLY_SERVICE_KEY"

MINT_LIMIT_SECONDS = 15
"""The hour in which no object mints more than three times."""


class Scene:
    """See the module's text."""

    def __init__(self, plane: ControlPlane, world: World) -> None:
        self.plane = plane
        self.world = world
        self.kubectl = world.kubectl
        self.service_keys: dict[str, str] = {}
        """The id of each case's service key at the vendor."""
        self._namespaces = [world.namespace]

    @property
    def vendor(self) -> SimulatorControl:
        control: SimulatorControl = self.world.vendor
        return control

    # --- what a case is made of -----------------------------------------------------------------------------------

    def add_namespace(self, name: str) -> str:
        """One more namespace, for what can only be spoilt for a whole one."""
        namespace = f"{self.world.namespace}-{name}"
        self.kubectl("create", "namespace", namespace)
        self._namespaces.append(namespace)
        return namespace

    def add_service_key(self, name: str, environment: Environment = Environment.TEST) -> str:
        """A service key of an account called ``name``, delivered to the provider of that name. Returns its id."""
        created = self.vendor.create_service_key(ServiceKeyOrder(environment=environment, account_id=name))
        self.service_keys[name] = created.id
        self.world.put_service_key(created.plaintext.get_secret_value(), name)
        return created.id

    def add_provider(self, name: str, **spec: Any) -> None:
        """The provider called ``name``; ``spec`` overrides parts of it. It admits all of this scene's namespaces."""
        provider = self.world.provider_object(
            **{
                "serviceKeys": [{"name": "main", "secretRef": {"name": name}}],
                "allowedNamespaces": {"names": self._namespaces},
                **spec,
            }
        )
        provider["metadata"]["name"] = name
        self.kubectl.apply(provider)

    def add(self, name: str, **provider: Any) -> None:
        """A provider and a service key that work."""
        self.add_service_key(name)
        self.add_provider(name, **provider)

    def key_object(self, name: str, namespace: str | None = None, **spec: Any) -> dict[str, Any]:
        """The SaperlyKey called ``name``, of the provider of that name."""
        # The display name is what the key is found by in the vendor's books: namespace/name may be cut to fit.
        key = self.world.key_object(name, **{"providerRef": {"name": name}, "displayName": name, **spec})
        key["metadata"]["namespace"] = namespace or self.world.namespace
        return key

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects, in the namespaces that they name."""
        documents = "\n---\n".join(json.dumps(each) for each in objects)
        self.kubectl("apply", "--filename=-", stdin=documents)

    # --- what became of it ----------------------------------------------------------------------------------------

    def conditions(self, name: str, namespace: str | None = None) -> dict[str, dict[str, Any]]:
        """The conditions of a SaperlyKey by type."""
        key = self.kubectl.read("SaperlyKey", name, namespace=namespace or self.world.namespace)
        return {each["type"]: each for each in key.get("status", {}).get("conditions", [])}

    def wait_reason(self, name: str, reason: str, namespace: str | None = None) -> dict[str, dict[str, Any]]:
        """Until Ready gives that reason; returns all conditions."""

        def told() -> dict[str, dict[str, Any]] | None:
            conditions = self.conditions(name, namespace)
            assert conditions["Ready"]["reason"] == reason, conditions["Ready"]
            return conditions

        return eventually(told, f"{name} has the reason {reason}")

    def wait_at_rest(self, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Until the SaperlyKey is Ready with nothing under way, for its present generation; returns the object."""

        def at_rest() -> dict[str, Any] | None:
            key: dict[str, Any] = self.kubectl.read("SaperlyKey", name, namespace=namespace or self.world.namespace)
            conditions = {each["type"]: each for each in key.get("status", {}).get("conditions", [])}
            assert conditions["Ready"]["status"] == "True", conditions["Ready"]
            assert conditions.keys().isdisjoint({"Reconciling", "Stalled"}), conditions
            return key if conditions["Ready"]["observedGeneration"] == key["metadata"]["generation"] else None

        return eventually(at_rest, f"{name} is Ready and at rest")

    def warnings(self, name: str, namespace: str | None = None) -> list[str]:
        """The reasons of all Warning events about a SaperlyKey."""
        items = self.kubectl.read("Event", namespace=namespace or self.world.namespace)
        mine = [item for item in items["items"] if item["regarding"]["name"] == name]
        return [item["reason"] for item in mine if item["type"] == "Warning"]

    def wait_warned(self, name: str, namespace: str | None = None) -> list[str]:
        """The same, once there is one: an event is written after the condition that it tells of."""
        return eventually(lambda: self.warnings(name, namespace), f"an event warns of {name}")

    def minted(self, name: str) -> list[Child]:
        """Every key ever minted for a SaperlyKey, oldest first."""
        return [row for row in self.vendor.ledger() if row.name.startswith(f"{name} [")]

    def live(self, name: str) -> list[Child]:
        return [row for row in self.minted(name) if row.revoked_at is None]

    def digest(self, secret: str, namespace: str | None = None) -> str:
        """Of the plaintext in a Secret, as the ledger has it for each key."""
        body = self.kubectl.read("Secret", secret, namespace=namespace or self.world.namespace)
        return hashlib.sha256(base64.b64decode(body["data"]["SAPERLY_API_KEY"])).hexdigest()

    def assert_one_live_key(self, name: str, namespace: str | None = None) -> Child:
        """Ready by itself, with one live key at the vendor, whose plaintext the Secret holds."""
        key = self.wait_at_rest(name, namespace)
        (live,) = self.live(name)
        assert live.id == key["status"]["current"]["id"]
        assert self.digest(key["status"]["secret"]["name"], namespace) == live.digest
        return live

    # --- what it cost ---------------------------------------------------------------------------------------------

    def watch(self) -> "Watch":
        """Count from now on."""
        return Watch(self)

    def pass_rechecks(self, looks: int) -> None:
        """Until the operator has read a provider's service key so often again: it does so each second, as often as
        it looks again at what stalls."""
        since = self.plane.audit.position()

        def looked() -> bool:
            requests = self.plane.audit.requests(user=OPERATOR, since=since)
            return sum(each.name == "saperly-service-key" for each in requests) >= looks

        eventually(looked, f"the operator goes on looking, {looks} times")

    # --- the end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave nothing on the control plane that another scene's operator would look at; the world closes itself."""
        providers = self.kubectl.read("ClusterSaperlyProvider")["items"]
        for provider in providers:
            self._try("delete", "clustersaperlyprovider", provider["metadata"]["name"], "--wait=false")
        for namespace in self._namespaces[1:]:
            keys = self.kubectl.read("SaperlyKey", namespace=namespace)["items"]
            for name in [key["metadata"]["name"] for key in keys]:
                here = f"--namespace={namespace}"
                self._try("patch", "saperlykey", name, here, "--type=merge", '--patch={"metadata":{"finalizers":[]}}')
            self._try("delete", "namespace", namespace, "--wait=false")

    def _try(self, *args: str) -> None:
        try:
            self.kubectl(*args)
        except KubectlError as error:
            if "not found" not in str(error):
                raise


@contextmanager
def a_scene(
    plane: ControlPlane, kubectl: Kubectl, operator_kubeconfig: Path, folder: Path, name: str
) -> Iterator[Scene]:
    """A scene with its operator running."""
    kubectl("create", "namespace", name)
    with a_world(kubectl, operator_kubeconfig, folder, name) as world:
        scene = Scene(plane, world)
        try:
            world.install()
            world.start_operator({"SAPERLY_TIMINGS__MINT_LIMIT_WINDOW": f"PT{MINT_LIMIT_SECONDS}S"})
            yield scene
        finally:
            if world.operator is not None and world.operator.exit_code is None:
                world.operator.terminate()
            scene.close()
    kubectl("delete", "namespace", name, "--wait=false")


@dataclass(frozen=True)
class Cost:
    """What was asked for about one SaperlyKey in a while."""

    calls: list[CallRecord]
    writes: list[Request]
    """Of its status, its Secret and its events, and those that were only tried (``dry_run``)."""

    def count(self, operation: Operation) -> int:
        return sum(call.operation == operation for call in self.calls)

    @property
    def stored(self) -> list[str]:
        """The writes that were meant."""
        return [f"{each.verb} {each.resource} {each.code}" for each in self.writes if not each.dry_run]

    @property
    def dry_runs(self) -> int:
        return sum(each.dry_run for each in self.writes)


class Watch:
    """Counts requests from its making to ``stop``."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._last = max((call.number for call in scene.vendor.calls()), default=0)
        self._position = scene.plane.audit.position()
        self._begun = time.monotonic()
        self._calls: list[CallRecord] = []
        self._writes: list[Request] = []
        self.seconds = 0.0

    def stop(self) -> "Watch":
        """Look at both books at once: what comes later does not count."""
        self.seconds = time.monotonic() - self._begun
        self._calls = self._scene.vendor.calls(after=self._last)
        requests = self._scene.plane.audit.requests(user=OPERATOR, since=self._position)
        self._writes = [each for each in requests if each.is_write]
        return self

    def cost(self, name: str) -> Cost:
        """Of the SaperlyKey called ``name``. Calls with a service key that the vendor does not know have no id."""
        key_id = self._scene.service_keys.get(name)
        about = [each for each in self._writes if each.name == name or each.name.startswith(f"{name}.")]
        return Cost(
            calls=[call for call in self._calls if call.service_key_id == key_id],
            writes=[each for each in about if "provider" not in each.resource],
        )


def policy(name: str, namespace: str, resource: Mapping[str, Any], expression: str) -> list[dict[str, Any]]:
    """A ValidatingAdmissionPolicy, and its binding to one namespace: ``expression`` says what is let through."""
    api = "admissionregistration.k8s.io/v1"
    return [
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [dict(resource)]},
                "validations": [{"expression": expression, "message": "not here"}],
            },
        },
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                },
            },
        },
    ]
