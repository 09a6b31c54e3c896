"""Values that must not show: the plaintext of a child key, and the service key.

Both are read at one place each (``reveal``), so that a search for that word finds every use. Nothing else gives the
value away: not repr, str or format, not ``vars``, not pickling or copying (which ``dataclasses.asdict`` does).
"""

import hashlib
import hmac
import re
from typing import NoReturn, Self, SupportsIndex

from saperly_operator.saperly.models import Environment

_SERVICE_KEY_PREFIXES = {"sk_svc_test_": Environment.TEST, "sk_svc_live_": Environment.LIVE}
_CHILD_KEY_PREFIXES = {"sk_test_": Environment.TEST, "sk_live_": Environment.LIVE}

# What a bearer token may consist of here: visible ASCII, so that it can stand in a header.
_TOKEN = re.compile(r"[\x21-\x7e]+")


class MalformedCredentialError(ValueError):
    """What was given cannot be a service key. The message says why and never quotes it."""


class Concealed:
    """A secret string with a dull face. Equal to another of its own type that holds the same."""

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The secret itself; for the one line that hands it over."""
        return self._value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} concealed>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is neither pickled nor copied")


class Plaintext(Concealed):
    """The plaintext of a child API key, as the first answer to a mint or a rotate carries it."""

    __slots__ = ()

    @property
    def environment(self) -> Environment | None:
        """What the prefix ``sk_test_`` or ``sk_live_`` says; None for any other."""
        return next((env for prefix, env in _CHILD_KEY_PREFIXES.items() if self._value.startswith(prefix)), None)

    def starts_with(self, key_prefix: str) -> bool:
        """Whether the vendor's ``key_prefix`` fits this plaintext; an empty prefix fits nothing."""
        return bool(key_prefix) and self._value.startswith(key_prefix)


class Credential(Concealed):
    """A service key. Build it with ``parse``; what may be shown of it are ``prefix`` and ``material_hash``."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: str | bytes) -> Self:
        """A service key from what a Secret holds; whitespace around it (a trailing newline, mostly) is dropped.

        Raises ``MalformedCredentialError`` for anything that is no service key, with a reason and without an echo.
        """
        reason, text = _reason_against(raw)
        if reason is not None:
            del raw, text  # a traceback that prints locals must not print these
            raise MalformedCredentialError(reason)
        return cls(text)

    @property
    def prefix(self) -> str:
        """The tier and environment part, ``sk_svc_test_`` or ``sk_svc_live_``: nothing of the secret part."""
        return next(prefix for prefix in _SERVICE_KEY_PREFIXES if self._value.startswith(prefix))

    @property
    def environment(self) -> Environment:
        """The environment that the prefix names; every child of this key is born in it."""
        return _SERVICE_KEY_PREFIXES[self.prefix]

    @property
    def material_hash(self) -> str:
        """16 hex digits of a SHA-256: tells one key's material from another's, and may be shown.

        A service key is random and long, so that its hash cannot be turned back by guessing.
        """
        return hashlib.sha256(self._value.encode()).hexdigest()[:16]


def _reason_against(raw: str | bytes) -> tuple[str | None, str]:
    if isinstance(raw, bytes):
        try:
            raw = raw.decode("ascii")
        except UnicodeDecodeError:
            return "the service key holds characters that no key has", ""
    text = raw.strip()
    if not text:
        return "the service key is empty", ""
    if not _TOKEN.fullmatch(text):
        return "the service key holds whitespace or characters that no key has", ""
    if text.startswith(tuple(_CHILD_KEY_PREFIXES)):
        return (
            "this is an API key (sk_test_… or sk_live_…); a service key begins with sk_svc_test_ or sk_svc_live_",
            "",
        )
    if not text.startswith(tuple(_SERVICE_KEY_PREFIXES)) or text in _SERVICE_KEY_PREFIXES:
        return "a service key begins with sk_svc_test_ or sk_svc_live_, and goes on", ""
    return None, text


def is_bearer_token(secret: Concealed) -> bool:
    """Whether the secret can stand in an Authorization header as it is."""
    return _TOKEN.fullmatch(secret.reveal()) is not None
