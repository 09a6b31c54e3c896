"""Label selectors as Kubernetes has them, for the namespaces that a provider allows. Used by ``provider``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from saperly_operator.resources.base import ApiModel, ListSet, MapLimits, Rule


class SelectorOperator(StrEnum):
    """How a label requirement compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


LabelText = Annotated[str, Field(max_length=63)]


class LabelRequirement(ApiModel):
    """One requirement on a label."""

    rules: ClassVar = (
        Rule(
            '(self.operator in ["In", "NotIn"]) == (has(self.values) && self.values.size() > 0)',
            "In and NotIn need values; Exists and DoesNotExist take none",
            field_path=".values",
        ),
    )

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The label's name."""
    operator: SelectorOperator
    """In, NotIn, Exists or DoesNotExist."""
    values: Annotated[tuple[LabelText, ...], Field(max_length=64), ListSet()] = ()
    """The values that In and NotIn compare with."""

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels meets the requirement, as Kubernetes defines it."""
        value = labels.get(self.key)
        match self.operator:
            case SelectorOperator.IN:
                return value in self.values
            case SelectorOperator.NOT_IN:
                return value not in self.values
            case SelectorOperator.EXISTS:
                return value is not None
            case SelectorOperator.DOES_NOT_EXIST:
                return value is None


class LabelSelector(ApiModel):
    """Chooses namespaces by their labels; all requirements must be met."""

    rules: ClassVar = (
        Rule(
            "(has(self.matchLabels) && self.matchLabels.size() > 0)"
            " || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",
            "must not be empty, since that would choose every namespace: set allowedNamespaces.all if this is meant",
        ),
    )

    match_labels: Annotated[dict[str, str], MapLimits(64, 63)] = Field(default_factory=dict)
    """Labels that a namespace must have, with these values."""
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=32)] = ()
    """Requirements that a namespace's labels must meet."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet every requirement. An empty selector matches nothing here: the default is to deny."""
        if not self.match_labels and not self.match_expressions:
            return False
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.is_met_by(labels) for requirement in self.match_expressions
        )
