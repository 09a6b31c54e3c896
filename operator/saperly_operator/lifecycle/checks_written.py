"""Whether a Secret holds an intent's key already: then only the record is missing.

A record in a Secret is never trusted by itself: whoever may edit the Secret could name somebody else's key there. It
counts once the vendor's own row says that this object's intent brought that id about, and the rest of the record fits
both: an id alone may have been written into the record of the key before.
"""

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.observed import SecretOwned, SecretState
from saperly_operator.lifecycle.references import minted_ref
from saperly_operator.lifecycle.steps import Decision, Record
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Intent, KeyRef, SecretStatus
from saperly_operator.resources.secret_record import SecretRecord
from saperly_operator.saperly.models import ChildKey


def record_if_written(case: Case, intent: Intent, row: ChildKey) -> Decision | None:
    """A Secret, read live, holds the key that the vendor says is this intent's: only the record is missing.

    Where the spec wants it, or where it was written before the spec named another Secret, or another entry of this one;
    from there it is moved.
    """
    ref, key, before = minted_ref(row, intent, case.status.current), case.key, case.status.secret
    places = [(case.observed.secret, key.secret_name, key.spec.secret.key)]
    if before is not None and case.observed.former_secret is not None:
        places.append((case.observed.former_secret, before.name, before.key))
    for secret, name, wanted in places:
        entry, mark = _found(secret, wanted, row, intent)
        # The plaintext that status knows is another key's, whatever id somebody wrote beside it.
        if mark is not None and (before is None or mark != before.fingerprint):
            kept = SecretStatus(name=name, key=entry, fingerprint=mark)
            return Decision(Record(ref, kept), reasons.AVAILABLE, delivered_message(name, ref))
    return None


def _found(secret: SecretState, wanted: str, row: ChildKey, intent: Intent) -> tuple[str, str | None]:
    """The entry of the Secret, and the fingerprint of the plaintext in it, when that was written there together with that
    row's record."""
    match secret:
        case SecretOwned(record=SecretRecord() as record) if (
            record.key_id,
            record.key_prefix,
            record.serial,
        ) == (row.id, row.key_prefix, intent.serial):
            return (wanted, secret.fingerprint) if secret.intact else secret.misplaced or (wanted, None)
        case _:
            return wanted, None


def delivered_message(secret: str, ref: KeyRef) -> str:
    """What is said of a key that is in its Secret."""
    return f"The key {ref.prefix}… is in Secret {secret}."
