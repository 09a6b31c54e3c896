"""The kinds of value that users write, each with its limits and with the CEL rules that refuse a bad one.

Used by ``saperly_key`` and ``provider``. Rules are written as CEL rather than as ``pattern``, because the API server
answers a broken pattern with the bare regular expression, and a broken rule with our sentence.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from saperly_operator.resources.annotations import MANAGED_BY_LABEL, PREFIX
from saperly_operator.resources.base import Rule
from saperly_operator.resources.durations import DURATION_PATTERN


class Permissions(StrEnum):
    """What a key may do, of those values that can be asked for."""

    FULL = "full"
    CALL_ONLY = "call_only"
    SMS_ONLY = "sms_only"
    READ_ONLY = "read_only"


def _matches(pattern: str) -> str:
    """A CEL expression: the value matches ``pattern``, which must not contain three quotes."""
    return f'self.matches(r"""{pattern}""")'


MAX_CENTS: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

CapCents = Annotated[int, Field(ge=1, le=MAX_CENTS)]

ShortText = Annotated[str, Field(min_length=1, max_length=253)]

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule(
        "!format.dns1123Subdomain().validate(self).hasValue()",
        "must be a DNS name: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
    ),
]

_TRIMMED_TEXT: Final = r"""^[^\s\p{Cc}]([^\p{Cc}]*[^\s\p{Cc}])?$"""

DisplayName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Rule(
        r'!self.contains("[") && !self.contains("]")', "must not contain '[' or ']': the operator's own tag uses them"
    ),
    Rule(_matches(_TRIMMED_TEXT), "must not contain control characters, nor begin or end with a blank"),
]

AgentLabel = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Rule(_matches(r"""^[^\p{Lu}]*$"""), "must be lower case"),
    Rule(_matches(_TRIMMED_TEXT), "must not contain control characters, nor begin or end with a blank"),
]

LineId = Annotated[
    str,
    Field(min_length=1, max_length=36),
    Rule(
        _matches(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
        "must be a UUID in lower case, as the Saperly portal shows it for a line",
    ),
]

SecretDataKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule(
        _matches(r"^[-._a-zA-Z0-9]+$") + ' && self != "." && !self.startsWith("..")',
        "must be a key of a Secret's data: letters, digits, '-', '_' and '.', and not beginning with '..'",
    ),
]

Duration = Annotated[
    str,
    Field(min_length=1, max_length=32),
    Rule(
        _matches(DURATION_PATTERN),
        "must be a duration: days, hours, minutes and seconds in this order, such as 7d, 12h or 1h30m",
    ),
]

_MINUTE, _HOUR, _DAY = "[0-5]?[0-9]", "([01]?[0-9]|2[0-3])", "(0?[1-9]|[12][0-9]|3[01])"


def _any_case(names: str) -> str:
    """The names, each letter in either case: CEL's dialect knows ``(?i)``, JSON schema's does not."""
    return "|".join("".join(f"[{c}{c.upper()}]" for c in name) for name in names.split())


_MONTH = f"(0?[1-9]|1[0-2]|{_any_case('jan feb mar apr may jun jul aug sep oct nov dec')})"
_WEEKDAY = f"([0-7]|{_any_case('sun mon tue wed thu fri sat')})"


def _cron_field(value: str) -> str:
    item = rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


SCHEDULE_PATTERN: Final = (
    r"^(@daily|@weekly|@monthly"
    r"|[1-9][0-9]{0,3}d([0-9]{1,5}h)?|[1-9][0-9]{0,4}h"
    r"|(TZ=[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)* )?"
    + " ".join(_cron_field(value) for value in (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY))
    + ")$"
)
"""What can be said of a schedule by its letters alone. Whether the time zone exists, and whether the cron expression
ever comes due, is for the full parser to say."""

Schedule = Annotated[
    str,
    Field(min_length=1, max_length=256),
    Rule(
        _matches(SCHEDULE_PATTERN),
        "must be a cron expression of five fields such as '0 3 * * 1' (if need be with 'TZ=Europe/Berlin ' before), "
        "or @daily, @weekly or @monthly, or an age of days and hours such as 30d",
    ),
]


class SecretMetadataRules:
    """What users may not put on the Secret: names that belong to the operator, or that make other tools adopt it.

    A GitOps tool that finds its own mark on a Secret prunes the Secret, since it is in no repository.
    """

    RESERVED_PREFIXES: Final = (
        PREFIX,
        "argocd.argoproj.io/",
        "kustomize.toolkit.fluxcd.io/",
        "helm.toolkit.fluxcd.io/",
        "kubectl.kubernetes.io/",
    )
    RESERVED_NAMES: Final = (MANAGED_BY_LABEL, "app.kubernetes.io/instance")

    _RESERVED: Final = Rule(
        "self.all(k, "
        + " && ".join(
            [
                *(f'!k.startsWith("{prefix}")' for prefix in RESERVED_PREFIXES),
                *(f'k != "{name}"' for name in RESERVED_NAMES),
            ]
        )
        + ")",
        "must not use names of the operator or of tools that would adopt and prune the Secret: "
        + ", ".join([*(f"{prefix}*" for prefix in RESERVED_PREFIXES), *RESERVED_NAMES]),
    )
    _QUALIFIED: Final = Rule(
        "self.all(k, !format.qualifiedName().validate(k).hasValue())",
        "every name must be an optional DNS prefix and '/', then at most 63 letters, digits, '-', '_' and '.'",
    )
    LABELS: Final = (
        _RESERVED,
        _QUALIFIED,
        Rule(
            "self.all(k, !format.labelValue().validate(self[k]).hasValue())",
            "every value must be empty, or at most 63 letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit",
        ),
    )
    ANNOTATIONS: Final = (_RESERVED, _QUALIFIED)
