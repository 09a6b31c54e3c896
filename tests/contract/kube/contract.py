"""What this operator relies on of a Kubernetes API, as tests of any ``Kube``.

``TestMemoryKube`` (beside this file) and ``TestRealKube`` (tests/cluster) inherit them: a fake that passes here and an
API server that passes there do not differ in anything that the simulation rests on. A subclass gives the fixtures
``kube`` and ``namespace``, and says how a namespace's quota is filled and how a namespace begins to go.
"""

import itertools
from abc import ABC, abstractmethod
from typing import Any

import pytest

from saperly_operator.controller.workloads import RESOURCES
from saperly_operator.kube import errors
from saperly_operator.kube.api import (
    CLUSTER_PROVIDERS,
    CONFIG_MAPS,
    NAMESPACES,
    PLAIN,
    SAPERLY_KEYS,
    SECRETS,
    STATUS,
    Kube,
    Object,
    PatchOptions,
    Resource,
)
from saperly_operator.kube.events import EventType, EventWriter, Occurrence, Regarding
from saperly_operator.resources.workload import WorkloadKind
from tests.builders import NOW
from tests.support.workloads import a_workload

FINALIZER = "saperly.com/revoke"
DRY = PatchOptions(dry_run=True)
HELLO = "aGVsbG8="
_numbers = itertools.count(1)


def a_secret(**more: Any) -> Object:
    """A Secret's body under a name of its own."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"secret-{next(_numbers)}"}}
    return {**body, "data": {"TOKEN": HELLO}, **more}


def a_key(*finalizers: str, **spec: Any) -> Object:
    """A SaperlyKey's body under a name of its own."""
    metadata: dict[str, Any] = {"name": f"key-{next(_numbers)}", "finalizers": list(finalizers)}
    return {"apiVersion": "saperly.com/v1alpha1", "kind": "SaperlyKey", "metadata": metadata, "spec": spec}


def named(body: Object) -> str:
    name: str = body["metadata"]["name"]
    return name


def version(body: Object) -> str:
    resource_version: str = body["metadata"]["resourceVersion"]
    return resource_version


async def delete(kube: Kube, resource: Resource, namespace: str, body: Object) -> None:
    """Delete exactly what ``body`` shows."""
    metadata = body["metadata"]
    await kube.delete(resource, namespace, metadata["name"], uid=metadata["uid"], version=metadata["resourceVersion"])


class KubeContract(ABC):
    """See the module's text."""

    @abstractmethod
    async def fill_quota(self, kube: Kube, namespace: str) -> None:
        """From now on no Secret more fits into the namespace."""

    @abstractmethod
    async def begin_end(self, kube: Kube, namespace: str) -> None:
        """Delete a namespace that something in it holds."""

    @abstractmethod
    async def watched(
        self, kube: Kube, namespace: str, resource: Resource, since: str, labels: str = ""
    ) -> list[tuple[str, Object]]:
        """What a watch of one namespace shows of all that happened after the version ``since``."""

    # --- create and get -------------------------------------------------------------------------------------------

    async def test_what_was_created_is_read_back(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        metadata = created["metadata"]
        assert metadata["namespace"] == namespace
        assert metadata["uid"]
        assert metadata["creationTimestamp"].endswith("Z")
        assert created["type"] == "Opaque"
        assert await kube.get(SECRETS, namespace, named(created)) == created

    async def test_a_name_is_given_once(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        for dry_run in (True, False):
            with pytest.raises(errors.AlreadyExists):
                await kube.create(SECRETS, namespace, a_secret(metadata={"name": named(created)}), dry_run=dry_run)

    async def test_nothing_is_created_in_a_namespace_that_is_not_there(self, kube: Kube, namespace: str) -> None:
        with pytest.raises(errors.NotFound):
            await kube.create(SECRETS, f"{namespace}-nowhere", a_secret())

    async def test_a_dry_run_stores_nothing(self, kube: Kube, namespace: str) -> None:
        tried = await kube.create(SECRETS, namespace, a_secret(), dry_run=True)
        with pytest.raises(errors.NotFound):
            await kube.get(SECRETS, namespace, named(tried))

    async def test_what_is_not_there_is_not_found(self, kube: Kube, namespace: str) -> None:
        patch = {"metadata": {"labels": {"a": "b"}}}
        with pytest.raises(errors.NotFound):
            await kube.get(SECRETS, namespace, "nothing")
        with pytest.raises(errors.NotFound):
            await kube.patch(SECRETS, namespace, "nothing", patch, options=PLAIN)
        with pytest.raises(errors.NotFound):
            await kube.delete(SECRETS, namespace, "nothing", uid="uid", version="1")

    async def test_what_is_created_again_is_another_object(self, kube: Kube, namespace: str) -> None:
        first = await kube.create(SECRETS, namespace, a_secret())
        await delete(kube, SECRETS, namespace, first)
        again = await kube.create(SECRETS, namespace, a_secret(metadata={"name": named(first)}))
        assert again["metadata"]["uid"] != first["metadata"]["uid"]
        assert int(version(again)) > int(version(first)), "versions are integers that rise"

    async def test_two_clients_begin_one_installation(self, kube: Kube, namespace: str) -> None:
        body = {"metadata": {"name": "installation"}, "data": {"id": "one"}}
        first = await kube.create(CONFIG_MAPS, namespace, body)
        with pytest.raises(errors.AlreadyExists):
            await kube.create(CONFIG_MAPS, namespace, {**body, "data": {"id": "two"}})
        assert (await kube.get(CONFIG_MAPS, namespace, "installation"))["data"] == first["data"]

    async def test_a_namespace_bears_its_name_as_a_label(self, kube: Kube, namespace: str) -> None:
        labels = (await kube.get(NAMESPACES, None, namespace))["metadata"]["labels"]
        assert labels["kubernetes.io/metadata.name"] == namespace

    # --- list -----------------------------------------------------------------------------------------------------

    async def test_a_list_is_of_one_namespace_or_of_all(self, kube: Kube, namespace: str) -> None:
        mark = f"mark-{next(_numbers)}"
        secret = await kube.create(SECRETS, namespace, a_secret(metadata={"name": mark, "labels": {"mark": mark}}))
        await kube.create(SECRETS, namespace, a_secret())
        for space in (namespace, None):
            found = await kube.list(SECRETS, space, labels=f"mark={mark}")
            assert [named(body) for body in found] == [named(secret)]
            assert found[0]["metadata"]["uid"] == secret["metadata"]["uid"]
        assert await kube.list(SECRETS, namespace, labels="mark=nothing") == []
        assert len(await kube.list(SECRETS, namespace)) >= 2

    # --- patch ----------------------------------------------------------------------------------------------------

    async def test_a_merge_patch_adds_replaces_and_takes_away(self, kube: Kube, namespace: str) -> None:
        labels = {"kept": "1", "replaced": "1", "gone": "1"}
        name = named(a_secret())
        created = await kube.create(SECRETS, namespace, a_secret(metadata={"name": name, "labels": labels}))
        patch = {
            "metadata": {"labels": {"replaced": "2", "gone": None, "new": "1"}},
            "data": {"TOKEN": None, "B": ""},
        }
        patched = await kube.patch(SECRETS, namespace, name, patch, options=PLAIN)
        assert patched["metadata"]["labels"] == {"kept": "1", "replaced": "2", "new": "1"}
        assert patched["data"] == {"B": ""}
        assert patched["metadata"]["uid"] == created["metadata"]["uid"]
        assert int(version(patched)) > int(version(created))
        assert await kube.get(SECRETS, namespace, name) == patched

    async def test_a_patch_that_changes_nothing_is_no_write(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        patched = await kube.patch(SECRETS, namespace, named(created), {"data": {"TOKEN": HELLO}}, options=PLAIN)
        assert version(patched) == version(created)

    async def test_a_patch_of_a_former_state_conflicts(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        now = await kube.patch(SECRETS, namespace, named(created), {"data": {"B": ""}}, options=PLAIN)
        guarded = {"metadata": {"resourceVersion": version(created)}, "data": {"C": ""}}
        with pytest.raises(errors.Conflict):
            await kube.patch(SECRETS, namespace, named(created), guarded, options=PLAIN)
        assert await kube.get(SECRETS, namespace, named(created)) == now

    @pytest.mark.parametrize("resource", [SECRETS, SAPERLY_KEYS], ids=["Secret", "SaperlyKey"])
    async def test_a_patch_of_an_object_that_was_created_anew_since_conflicts(
        self, kube: Kube, namespace: str, resource: Resource
    ) -> None:
        body = a_secret() if resource is SECRETS else a_key()
        first = await kube.create(resource, namespace, body)
        await delete(kube, resource, namespace, first)
        again = await kube.create(resource, namespace, body)
        seen = {"uid": first["metadata"]["uid"], "resourceVersion": version(first)}
        patch = {"metadata": {**seen, "labels": {"a": "b"}}}
        with pytest.raises(errors.Conflict):
            await kube.patch(resource, namespace, named(first), patch, options=PLAIN)
        # By its uid alone the API server refuses it in another way: our writes carry both.
        alone = {"metadata": {"uid": seen["uid"], "labels": {"a": "b"}}}
        with pytest.raises((errors.Conflict, errors.Refused)):
            await kube.patch(resource, namespace, named(first), alone, options=PLAIN)
        assert await kube.get(resource, namespace, named(first)) == again

    async def test_of_two_patches_of_one_state_the_first_wins(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        seen = {"uid": created["metadata"]["uid"], "resourceVersion": version(created)}
        for number, expected in ((1, None), (2, errors.Conflict)):
            patch = {"metadata": {**seen, "labels": {"winner": str(number)}}}
            if expected is None:
                await kube.patch(SECRETS, namespace, named(created), patch, options=PLAIN)
                continue
            with pytest.raises(expected):
                await kube.patch(SECRETS, namespace, named(created), patch, options=PLAIN)
        left = await kube.get(SECRETS, namespace, named(created))
        assert left["metadata"]["labels"] == {"winner": "1"}

    async def test_a_dry_patch_stores_nothing(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        tried = await kube.patch(SECRETS, namespace, named(created), {"data": {"B": ""}}, options=DRY)
        assert tried["data"] == {"TOKEN": HELLO, "B": ""}
        assert await kube.get(SECRETS, namespace, named(created)) == created

    # --- status and generation --------------------------------------------------------------------------------------

    async def test_a_new_object_has_the_status_that_the_schema_gives_it(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SAPERLY_KEYS, namespace, {**a_key(), "status": {"serial": 7}})
        assert created["status"] == {"observedGeneration": -1}
        assert created["metadata"]["generation"] == 1

    async def test_status_is_written_through_its_own_subresource(self, kube: Kube, namespace: str) -> None:
        name = named(created := await kube.create(SAPERLY_KEYS, namespace, a_key()))
        both = {"spec": {"suspend": True}, "status": {"serial": 3}}
        through_main = await kube.patch(SAPERLY_KEYS, namespace, name, both, options=PLAIN)
        assert through_main["spec"]["suspend"] is True
        assert "serial" not in through_main["status"]
        other = {"spec": {"suspend": False}, "status": {"serial": 4}}
        through_status = await kube.patch(SAPERLY_KEYS, namespace, name, other, options=STATUS)
        assert through_status["spec"]["suspend"] is True
        assert through_status["status"]["serial"] == 4
        assert int(version(through_status)) > int(version(through_main)) > int(version(created))

    async def test_null_clears_in_status_and_a_list_is_replaced_whole(self, kube: Kube, namespace: str) -> None:
        name = named(await kube.create(SAPERLY_KEYS, namespace, a_key()))
        times = ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"]
        first = {"status": {"serial": 1, "installation": "one", "recentIntents": times}}
        await kube.patch(SAPERLY_KEYS, namespace, name, first, options=STATUS)
        second = {"status": {"installation": None, "recentIntents": times[1:]}}
        patched = await kube.patch(SAPERLY_KEYS, namespace, name, second, options=STATUS)
        assert patched["status"] == {"observedGeneration": -1, "serial": 1, "recentIntents": times[1:]}

    async def test_the_generation_counts_edits_of_the_spec_only(self, kube: Kube, namespace: str) -> None:
        name = named(await kube.create(SAPERLY_KEYS, namespace, a_key()))
        marked = {"metadata": {"annotations": {"saperly.com/rotate-requested-at": "now"}}}
        assert (await self._patched(kube, namespace, name, marked))["metadata"]["generation"] == 1
        status = await kube.patch(SAPERLY_KEYS, namespace, name, {"status": {"serial": 1}}, options=STATUS)
        assert status["metadata"]["generation"] == 1
        edited = await self._patched(kube, namespace, name, {"spec": {"suspend": True}})
        assert edited["metadata"]["generation"] == 2

    async def _patched(self, kube: Kube, namespace: str, name: str, patch: Object) -> Object:
        return await kube.patch(SAPERLY_KEYS, namespace, name, patch, options=PLAIN)

    @pytest.mark.parametrize("kind", list(WorkloadKind))
    async def test_the_generation_of_a_workload_counts_changes_of_its_pod_template(
        self, kind: WorkloadKind, kube: Kube, namespace: str
    ) -> None:
        resource, body = RESOURCES[kind], a_workload(f"workload-{next(_numbers)}", replicas=0)
        created = await kube.create(resource, namespace, {"apiVersion": "apps/v1", "kind": kind.value, **body})
        marks = {"annotations": {"saperly.com/restarted-support": "2.abc"}}
        marked = await kube.patch(resource, namespace, named(created), {"metadata": marks}, options=PLAIN)
        restart = {"spec": {"template": {"metadata": marks}}}
        restarted = await kube.patch(resource, namespace, named(created), restart, options=PLAIN)
        again = await kube.patch(resource, namespace, named(created), restart, options=PLAIN)
        generations = [each["metadata"]["generation"] for each in (created, marked, restarted, again)]
        if kind is WorkloadKind.DEPLOYMENT:  # its annotations count as well, and its controller sets one
            assert generations[1] < generations[2], generations
        else:
            assert generations == [1, 1, 2, 2], generations
        former = {"metadata": {"resourceVersion": version(created)}, **restart}
        with pytest.raises(errors.Conflict):
            await kube.patch(resource, namespace, named(created), former, options=PLAIN)

    async def test_a_cluster_scoped_object_has_no_namespace(self, kube: Kube, namespace: str) -> None:
        name = f"provider-{namespace}"[-60:]
        entry = {"name": "main", "secretRef": {"name": "service-key"}}
        body = {
            "apiVersion": "saperly.com/v1alpha1",
            "kind": "ClusterSaperlyProvider",
            "metadata": {"name": name},
            "spec": {"environment": "test", "serviceKeys": [entry]},
        }
        created = await kube.create(CLUSTER_PROVIDERS, "", body)
        try:
            assert "namespace" not in created["metadata"]
            assert await kube.get(CLUSTER_PROVIDERS, None, name) == created
        finally:
            await delete(kube, CLUSTER_PROVIDERS, "", created)

    # --- finalizers and deletion ------------------------------------------------------------------------------------

    async def test_a_finalizer_holds_an_object_until_it_is_taken_away(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SAPERLY_KEYS, namespace, a_key(FINALIZER))
        await delete(kube, SAPERLY_KEYS, namespace, created)
        held = await kube.get(SAPERLY_KEYS, namespace, named(created))
        assert held["metadata"]["deletionTimestamp"]
        assert held["metadata"]["generation"] == 2
        await delete(kube, SAPERLY_KEYS, namespace, held)
        assert version(await kube.get(SAPERLY_KEYS, namespace, named(created))) == version(held), "deleted once"

        status = await kube.patch(SAPERLY_KEYS, namespace, named(created), {"status": {"serial": 1}}, options=STATUS)
        assert status["status"]["serial"] == 1, "an object that goes can still be written"
        await self._patched(kube, namespace, named(created), {"metadata": {"finalizers": []}})
        with pytest.raises(errors.NotFound):
            await kube.get(SAPERLY_KEYS, namespace, named(created))

    async def test_two_finalizers_hold_an_object_twice(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SAPERLY_KEYS, namespace, a_key(FINALIZER, "example.com/theirs"))
        await delete(kube, SAPERLY_KEYS, namespace, created)
        left = {"metadata": {"finalizers": ["example.com/theirs"]}}
        patched = await self._patched(kube, namespace, named(created), left)
        assert patched["metadata"]["finalizers"] == ["example.com/theirs"]
        await self._patched(kube, namespace, named(created), {"metadata": {"finalizers": None}})
        with pytest.raises(errors.NotFound):
            await kube.get(SAPERLY_KEYS, namespace, named(created))

    async def test_an_object_that_goes_takes_no_finalizer_more(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SAPERLY_KEYS, namespace, a_key("example.com/theirs"))
        await delete(kube, SAPERLY_KEYS, namespace, created)
        more = {"metadata": {"finalizers": ["example.com/theirs", FINALIZER]}}
        with pytest.raises(errors.Refused):
            await self._patched(kube, namespace, named(created), more)
        await self._patched(kube, namespace, named(created), {"metadata": {"finalizers": []}})

    @pytest.mark.parametrize("field", ["uid", "version"])
    async def test_a_deletion_of_another_state_or_object_conflicts(
        self, kube: Kube, namespace: str, field: str
    ) -> None:
        created = await kube.create(SECRETS, namespace, a_secret())
        patched = await kube.patch(SECRETS, namespace, named(created), {"data": {"B": ""}}, options=PLAIN)
        exact = {"uid": created["metadata"]["uid"], "version": version(patched)}
        stale = exact | {"uid": "00000000-0000-4000-8000-00000000dead", "version": version(created)}
        with pytest.raises(errors.Conflict):
            await kube.delete(SECRETS, namespace, named(created), **{**exact, field: stale[field]})
        await kube.delete(SECRETS, namespace, named(created), **exact)
        with pytest.raises(errors.NotFound):
            await kube.get(SECRETS, namespace, named(created))

    # --- refusals ---------------------------------------------------------------------------------------------------

    async def test_an_immutable_secret_keeps_its_data_and_may_go(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SECRETS, namespace, a_secret(immutable=True))
        for options in (DRY, PLAIN):
            with pytest.raises(errors.Immutable):
                await kube.patch(SECRETS, namespace, named(created), {"data": {"TOKEN": ""}}, options=options)
        labelled = {"metadata": {"labels": {"a": "b"}}}
        patched = await kube.patch(SECRETS, namespace, named(created), labelled, options=PLAIN)
        assert patched["data"] == {"TOKEN": HELLO}
        await delete(kube, SECRETS, namespace, patched)

    async def test_a_full_quota_refuses_a_secret_also_on_a_dry_run(self, kube: Kube, namespace: str) -> None:
        before = await kube.create(SECRETS, namespace, a_secret())
        await self.fill_quota(kube, namespace)
        for dry_run in (True, False):
            with pytest.raises(errors.QuotaExceeded):
                await kube.create(SECRETS, namespace, a_secret(), dry_run=dry_run)
        await kube.patch(SECRETS, namespace, named(before), {"data": {"B": ""}}, options=PLAIN)

    async def test_nothing_is_created_in_a_namespace_that_goes(self, kube: Kube, namespace: str) -> None:
        held = await kube.create(SAPERLY_KEYS, namespace, a_key(FINALIZER))
        await self.begin_end(kube, namespace)
        for dry_run in (True, False):
            with pytest.raises(errors.NamespaceTerminating):
                await kube.create(SECRETS, namespace, a_secret(), dry_run=dry_run)
        await self._patched(kube, namespace, named(held), {"metadata": {"finalizers": []}})

    # --- watches ----------------------------------------------------------------------------------------------------

    async def test_a_watch_shows_what_came_changed_and_went(self, kube: Kube, namespace: str) -> None:
        begun = await kube.create(SECRETS, namespace, a_secret())
        created = await kube.create(SECRETS, namespace, a_secret())
        await kube.patch(SECRETS, namespace, named(created), {"data": {"TOKEN": HELLO}}, options=PLAIN)
        await kube.patch(SECRETS, namespace, named(created), {"data": {"B": ""}}, options=DRY)
        patched = await kube.patch(SECRETS, namespace, named(created), {"data": {"B": ""}}, options=PLAIN)
        await delete(kube, SECRETS, namespace, patched)
        events = await self.watched(kube, namespace, SECRETS, version(begun))
        assert events[:2] == [("ADDED", created), ("MODIFIED", patched)], "what changed nothing is not shown"
        [(kind, gone)] = events[2:]
        assert (kind, gone["metadata"]["uid"], gone["data"]) == (
            "DELETED",
            created["metadata"]["uid"],
            patched["data"],
        )
        assert int(version(gone)) > int(version(patched))

    async def test_a_watch_shows_an_object_on_its_way_out(self, kube: Kube, namespace: str) -> None:
        created = await kube.create(SAPERLY_KEYS, namespace, a_key(FINALIZER))
        await delete(kube, SAPERLY_KEYS, namespace, created)
        await self._patched(kube, namespace, named(created), {"metadata": {"finalizers": []}})
        events = await self.watched(kube, namespace, SAPERLY_KEYS, version(created))
        assert [kind for kind, _ in events] == ["MODIFIED", "DELETED"]
        assert all(body["metadata"]["deletionTimestamp"] for _, body in events)

    async def test_what_leaves_a_selection_looks_deleted_and_what_enters_it_new(
        self, kube: Kube, namespace: str
    ) -> None:
        mark = f"mark-{next(_numbers)}"
        metadata = {"name": named(a_secret()), "labels": {"mark": mark}}
        created = await kube.create(SECRETS, namespace, a_secret(metadata=metadata))
        stripped = {"metadata": {"labels": {"mark": None}}, "data": {"B": ""}}
        left = await kube.patch(SECRETS, namespace, named(created), stripped, options=PLAIN)
        await kube.patch(SECRETS, namespace, named(created), {"data": {"C": ""}}, options=PLAIN)
        back = {"metadata": {"labels": {"mark": mark}}}
        entered = await kube.patch(SECRETS, namespace, named(created), back, options=PLAIN)
        [first, second] = await self.watched(kube, namespace, SECRETS, version(created), f"mark={mark}")
        as_it_last_matched = {**created, "metadata": {**created["metadata"], "resourceVersion": version(left)}}
        assert first == ("DELETED", as_it_last_matched)
        assert second == ("ADDED", entered)

    # --- events -----------------------------------------------------------------------------------------------------

    async def test_an_event_as_we_write_it_is_taken(self, kube: Kube, namespace: str, caplog: Any) -> None:
        key = await kube.create(SAPERLY_KEYS, namespace, a_key())
        regarding = Regarding("SaperlyKey", namespace, named(key), key["metadata"]["uid"], version(key))
        occurrence = Occurrence(EventType.NORMAL, "Issued", "Mint", "x" * 2000)
        await EventWriter(kube, instance="operator-" + "x" * 200).emit(regarding, occurrence, NOW)
        assert caplog.records == [], "an event that cannot be written is only logged"
