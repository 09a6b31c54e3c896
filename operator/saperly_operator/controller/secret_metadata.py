"""The labels and annotations that ``spec.secret`` puts on a Secret, and how one that left the spec comes off again.

Others put marks of their own on a Secret, which are nobody's business here. So the names that came from the spec are
noted beside them, in one annotation written with them: what is noted and no longer wanted is taken off, nothing else.
"""

import json
from collections.abc import Iterable

from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.naming import canonical_json
from saperly_operator.resources import annotations
from saperly_operator.resources.saperly_key import SaperlyKey

Marks = dict[str, str | None]
"""Labels or annotations as a merge patch has them: None takes one off."""


def wanted_labels(key: SaperlyKey) -> dict[str, str]:
    """The labels that the Secret is to carry: what the spec says, and ours."""
    return {**key.spec.secret.labels, annotations.MANAGED_BY_LABEL: annotations.MANAGED_BY}


def wanted_annotations(key: SaperlyKey) -> dict[str, str]:
    """The annotations that the Secret is to carry, apart from the record: what the spec says, and the note of it."""
    noted = _note(key)
    return {**key.spec.secret.annotations, **({annotations.APPLIED: noted} if noted else {})}


def patched_labels(key: SaperlyKey, view: SecretView) -> Marks:
    """What makes the labels of the Secret in ``view`` as they are to be."""
    return {**dict.fromkeys(_leftover(view.labels, "labels", view, key.spec.secret.labels)), **wanted_labels(key)}


def patched_annotations(key: SaperlyKey, view: SecretView) -> Marks:
    """What makes its annotations as they are to be, apart from the record."""
    gone = _leftover(view.annotations, "annotations", view, key.spec.secret.annotations)
    return {**dict.fromkeys(gone), annotations.APPLIED: None, **wanted_annotations(key)}


def metadata_in_sync(view: SecretView, key: SaperlyKey) -> bool:
    """Whether all that is asked for is there, and nothing that was asked for before."""
    labels = wanted_labels(key).items() <= view.labels.items()
    marks = key.spec.secret.annotations.items() <= view.annotations.items()
    return labels and marks and view.annotations.get(annotations.APPLIED) == _note(key)


def _note(key: SaperlyKey) -> str | None:
    spec = key.spec.secret
    if not spec.labels and not spec.annotations:
        return None
    return canonical_json({"annotations": sorted(spec.annotations), "labels": sorted(spec.labels)})


def _leftover(there: Iterable[str], kind: str, view: SecretView, wanted: Iterable[str]) -> list[str]:
    """Names that were put there for the spec and are in it no more. Ours are never among them, whoever noted them."""
    try:
        noted = json.loads(view.annotations.get(annotations.APPLIED) or "{}")[kind]
        names = {name for name in noted if isinstance(name, str)}
    except (ValueError, KeyError, TypeError):
        return []  # nothing was noted, or somebody wrote over it
    gone = (names & set(there)) - set(wanted) - {annotations.MANAGED_BY_LABEL}
    return sorted(name for name in gone if not name.startswith(annotations.PREFIX))
