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

KeyId = Annotated[str, Field(min_length=1, max_length=253)]

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

_ZONE: Final = "(TZ=[A-Za-z0-9_+/-]+ )?"
_NICKNAME: Final = rf"^{_ZONE}@(hourly|daily|midnight|weekly|monthly|yearly|annually)$"
_AGE: Final = "^([1-9][0-9]{0,3}d([0-9]{1,5}h)?|[1-9][0-9]{0,4}h)([0-9]{1,6}m)?([0-9]{1,7}s)?$"
_CRON: Final = rf"^{_ZONE}[^\s=@]+( [^\s=@]+){{4}}$"

_MONTH_NAMES: Final = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_WEEKDAY_NAMES: Final = "(?i:sun|mon|tue|wed|thu|fri|sat)"


def _cron_field(position: int, value: str, message: str, *, special: str = "") -> Rule:
    """One field of a cron expression: values, ranges and steps of ``value``, or one of the ``special`` forms."""
    item = rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?{special}"
    field = f"({item})(,({item}))*"
    before, after = rf"([^\s]+ ){{{position}}}", rf"( [^\s]+){{{4 - position}}}"
    return Rule(f"!{_matches(_CRON)} || {_matches(f'^{_ZONE}{before}{field}{after}$')}", message)


ScheduleRules: Final = (
    Rule(
        " || ".join(_matches(pattern) for pattern in (_NICKNAME, _AGE, _CRON)),
        "must be a cron expression of five fields such as '0 3 * * 1' (if need be after 'TZ=Europe/Berlin '), "
        "or @hourly, @daily, @weekly, @monthly or @yearly, or an age of at least an hour such as 30d or 12h",
    ),
    Rule(
        f"!{_matches(_CRON)} || {_matches(f'^{_ZONE}[0-5]?[0-9] ')}",
        "the minute, the first field, must be one number from 0 to 59: a key is rotated at most once an hour",
    ),
    _cron_field(1, "([01]?[0-9]|2[0-3])", "the hour, the second field, must be made of 0 to 23, such as 3 or 8-18/2"),
    _cron_field(
        2,
        "(0?[1-9]|[12][0-9]|3[01])",
        "the day of the month, the third field, must be made of 1 to 31, such as 1 or 1,15, or be L for the last",
        special="|L|LW",
    ),
    _cron_field(
        3,
        f"(0?[1-9]|1[0-2]|{_MONTH_NAMES})",
        "the month, the fourth field, must be made of 1 to 12 or jan to dec, such as 1,4,7,10",
    ),
    _cron_field(
        4,
        f"([0-7]|{_WEEKDAY_NAMES})",
        "the weekday, the fifth field, must be made of 0 to 7 or sun to sat, such as mon-fri",
        special="|[0-7](#[1-5]|L)",
    ),
)
"""What can be said of a schedule by its letters alone. Whether the time zone exists, and whether the cron expression
ever comes due, is for the full parser to say."""

Schedule = Annotated[str, Field(min_length=1, max_length=128), *ScheduleRules]


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
