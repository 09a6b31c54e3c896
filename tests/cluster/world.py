"""One test's own world on the shared control plane: a simulator, an operator's namespace, a provider, a namespace.

Worlds on one control plane do not see each other: each has its own installation, its own service key and its own
provider, which admits its own namespace only. One operator runs at a time.
"""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.conftest import OPERATOR, Kubectl
from tests.support.leaks import EVIDENCE
from tests.support.processes import OperatorProcess, Simulator
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)
_has_crds: set[Path] = set()
"""Administrators' kubeconfigs of the control planes that know the CRDs of this tree."""


class World:
    """See the module's text. ``kubectl`` is the administrator's; the operator runs as its own restricted user."""

    def __init__(self, kubectl: Kubectl, operator_kubeconfig: Path, folder: Path, namespace: str) -> None:
        self.kubectl = kubectl
        self.operator_kubeconfig = operator_kubeconfig
        self.folder = folder
        self.namespace = namespace
        number = next(_numbers)
        self.system = f"saperly-system-{number}"
        self.provider = f"provider-{number}"
        self.simulator = Simulator(folder, database=folder / "simulator.sqlite")
        self.operator: OperatorProcess | None = None

    @property
    def vendor(self) -> Any:
        """The simulator's control surface (``SimulatorControl``)."""
        return self.simulator.control

    # --- setting up ---------------------------------------------------------------------------------------------

    def install(self, **provider_spec: Any) -> None:
        """CRDs, RBAC, the service key's Secret, and the provider (``provider_spec`` overrides parts of its spec)."""
        if self.kubectl.kubeconfig not in _has_crds:
            self.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
            _has_crds.add(self.kubectl.kubeconfig)
        rbac = (ROOT / "examples" / "rbac.yaml").read_text().replace("saperly-system", self.system)
        self.kubectl("apply", "--filename=-", stdin=rbac)
        self._bind_user()
        self.put_service_key(self.simulator.service_key_file.read_text())
        self.kubectl.apply(self.provider_object(**provider_spec))

    def _bind_user(self) -> None:
        """The operator runs outside the cluster as a user: with the rights of its ServiceAccount, and no other."""
        group = "rbac.authorization.k8s.io"
        subject = {"apiGroup": group, "kind": "User", "name": OPERATOR}
        for kind, role in (("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")):
            binding = {
                "apiVersion": f"{group}/v1",
                "kind": kind,
                "metadata": {"name": f"{OPERATOR}-user"},
                "roleRef": {"apiGroup": group, "kind": role, "name": "saperly-operator"},
                "subjects": [subject],
            }
            self.kubectl.apply(binding, namespace=self.system)

    def put_service_key(self, value: str, name: str = "saperly-service-key") -> None:
        """Create or replace the Secret that holds the service key."""
        data = {"SAPERLY_SERVICE_KEY": base64.b64encode(EVIDENCE.learn(value).encode()).decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        self.kubectl.apply(secret, namespace=self.system)

    def provider_object(self, **spec: Any) -> dict[str, Any]:
        defaults = {
            "environment": "test",
            "serviceKeys": [{"name": "main", "secretRef": {"name": "saperly-service-key"}}],
            "allowedNamespaces": {"names": [self.namespace]},
        }
        return {
            "apiVersion": "saperly.com/v1alpha1",
            "kind": "ClusterSaperlyProvider",
            "metadata": {"name": self.provider},
            "spec": defaults | spec,
        }

    def start_operator(self, settings: Mapping[str, str] | None = None) -> OperatorProcess:
        """Start the operator (again)."""
        self.operator = OperatorProcess(
            self.folder,
            kubeconfig=self.operator_kubeconfig,
            api_url=self.simulator.base_url,
            namespace=self.system,
            settings=settings,
        )
        return self.operator.wait_started()

    # --- SaperlyKeys --------------------------------------------------------------------------------------------

    def key_object(self, name: str, metadata: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        """A SaperlyKey of this world's provider; ``spec`` adds to its spec."""
        return {
            "apiVersion": "saperly.com/v1alpha1",
            "kind": "SaperlyKey",
            "metadata": {"name": name, **(metadata or {})},
            "spec": {"providerRef": {"name": self.provider}} | spec,
        }

    def apply_key(self, name: str, **spec: Any) -> None:
        self.kubectl.apply(self.key_object(name, **spec), namespace=self.namespace)

    def key(self, name: str) -> Any:
        return self.kubectl.read("SaperlyKey", name, namespace=self.namespace)

    def keys(self) -> list[Any]:
        items: list[Any] = self.kubectl.read("SaperlyKey", namespace=self.namespace)["items"]
        return items

    def condition(self, name: str, kind: str = "Ready") -> dict[str, Any]:
        """A condition of a SaperlyKey; LookupError while it has none of that type."""
        conditions = self.key(name).get("status", {}).get("conditions", [])
        found: dict[str, Any] = {each["type"]: each for each in conditions}[kind]
        return found

    def wait_ready(self, name: str) -> dict[str, Any]:
        """Until Ready is True for the object's present generation; returns the object."""

        def ready() -> dict[str, Any] | None:
            key: dict[str, Any] = self.key(name)
            conditions = {each["type"]: each for each in key.get("status", {}).get("conditions", [])}
            condition = conditions.get("Ready", {})
            current = condition.get("observedGeneration") == key["metadata"]["generation"]
            assert condition.get("status") == "True", json.dumps(conditions)
            return key if current else None

        return eventually(ready, f"{name} is Ready")

    def wait_reason(self, name: str, reason: str, kind: str = "Ready") -> dict[str, Any]:
        """Until the condition has that reason; returns the condition."""

        def has_reason() -> dict[str, Any] | None:
            condition = self.condition(name, kind)
            return condition if condition["reason"] == reason else None

        return eventually(has_reason, f"{name} has the reason {reason}")

    def wait_gone(self, name: str) -> None:
        """Until the SaperlyKey is gone."""
        eventually(lambda: name not in {each["metadata"]["name"] for each in self.keys()}, f"{name} is gone")

    def plaintext(self, secret: str, key: str = "SAPERLY_API_KEY") -> str:
        """What the Secret holds. For comparison with the ledger's digest only: never print it."""
        data = self.kubectl.read("Secret", secret, namespace=self.namespace)["data"]
        return EVIDENCE.learn(base64.b64decode(data[key]).decode())

    def secret_names(self) -> set[str]:
        """The Secrets in this world's namespace."""
        items = self.kubectl.read("Secret", namespace=self.namespace)["items"]
        return {item["metadata"]["name"] for item in items}

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events about a SaperlyKey, oldest first."""
        items = self.kubectl.read("Event", namespace=self.namespace)["items"]
        mine = [item for item in items if item["regarding"]["name"] == name]
        return sorted(mine, key=lambda item: str(item["eventTime"]))

    def reasons(self, name: str, until: str, count: int = 1) -> list[str]:
        """The reasons of those events, once ``count`` of them are ``until``: an event is written after what it tells."""

        def told() -> list[str] | None:
            reasons = [event["reason"] for event in self.events(name)]
            assert reasons.count(until) >= count, reasons
            return reasons

        return eventually(told, f"an event tells of {name}: {until}")

    # --- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop everything, and leave nothing on the control plane that another world's operator would look at."""
        if self.operator is not None and self.operator.exit_code is None:
            self.operator.terminate()
        self.simulator.terminate()
        self._keep_objects()
        names = [key["metadata"]["name"] for key in self.keys()]
        if names:
            place, patch = f"--namespace={self.namespace}", '{"metadata":{"finalizers":[]}}'
            self.kubectl("patch", "saperlykey", *names, place, "--type=merge", f"--patch={patch}")
            self.kubectl("delete", "saperlykey", *names, place, "--ignore-not-found", "--wait=false")
        self.kubectl("delete", "clustersaperlyprovider", self.provider, "--ignore-not-found", "--wait=false")
        self.kubectl("delete", "namespace", self.system, "--ignore-not-found", "--wait=false")

    def _keep_objects(self) -> None:
        """For whoever looks for leaked credentials at the end of all tests: what is about to go."""
        kinds = "saperlykeys,events.events.k8s.io,configmaps,clustersaperlyproviders"
        for namespace in (self.namespace, self.system):
            objects = self.kubectl("get", kinds, f"--namespace={namespace}", "--output=json", "--show-managed-fields")
            (self.folder / f"objects-{namespace}.log").write_text(objects)


@contextmanager
def a_world(kubectl: Kubectl, operator_kubeconfig: Path, folder: Path, namespace: str) -> Iterator[World]:
    """A world that is installed by its test and closed after it."""
    world = World(kubectl, operator_kubeconfig, folder, namespace)
    try:
        yield world
    finally:
        world.close()
