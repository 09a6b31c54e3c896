"""The API server as judge of the schemas. Objects are created with dryRun: nothing is stored, and rows are cheap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from saperly_operator.resources.crd import Kind
from saperly_operator.resources.definition import Scope


@dataclass(frozen=True)
class Refusal:
    """The API server's answer to a bad object: its sentence, and each field that it blames with the reason."""

    message: str
    causes: tuple[tuple[str, str], ...]

    def says(self, field: str, rule: str) -> bool:
        """Whether it blames ``field``, or an item of that list, for a reason that contains ``rule``."""
        return any(rule in reason and _is_at(blamed, field) for blamed, reason in self.causes)


def _is_at(blamed: str, field: str) -> bool:
    return blamed == field or (blamed.startswith(f"{field}[") and blamed.endswith("]"))


@dataclass(frozen=True)
class Judge:
    """Creates objects for the sake of the answer alone."""

    client: httpx.Client

    def judge(self, kind: Kind, content: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        """The object as it would be stored, defaults applied; or why it would not be."""
        definition = kind.definition
        scope = "/namespaces/default" if definition.scope is Scope.NAMESPACED else ""
        body = {
            "apiVersion": definition.api_version,
            "kind": definition.kind,
            "metadata": {"name": "judged"},
            **content,
        }
        answer = self.client.post(f"/apis/{definition.api_version}{scope}/{definition.plural}", json=body)
        document: dict[str, Any] = answer.json()
        if answer.is_success:
            return document
        causes = document.get("details", {}).get("causes", [])
        return Refusal(document["message"], tuple((cause.get("field", ""), cause["message"]) for cause in causes))

    def accepted(self, kind: Kind, content: Mapping[str, Any]) -> dict[str, Any]:
        """The object as it would be stored; fails the test when it is refused."""
        verdict = self.judge(kind, content)
        assert not isinstance(verdict, Refusal), verdict.message
        return verdict

    def refused(self, kind: Kind, content: Mapping[str, Any]) -> Refusal:
        """Why the object would not be stored; fails the test when it would be."""
        verdict = self.judge(kind, content)
        assert isinstance(verdict, Refusal), f"accepted: {verdict}"
        return verdict
