"""Every wait of the protocol, by name, with the design's defaults.

They are settings, so that a test can live through hours in seconds; a production installation has no reason to
change one.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from saperly_operator.resources.saperly_key_status import RECENT_INTENTS


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations that the protocol waits for. The comments name the history that each one closes."""

    # Another process's request or write may still be under way this long after that process was last alive.
    takeover_settle: timedelta = timedelta(seconds=60)
    # A POST whose client died may still be delivered; whoever asks the sweep about it lets it land first.
    delivery_settle: timedelta = timedelta(minutes=2)
    # Outcomes unknown: at least this many tries over at least this long, before the sweep is asked instead.
    unknown_attempts: int = 3
    unknown_patience: timedelta = timedelta(minutes=5)
    # The vendor remembers an Idempotency-Key for 12 h; an intent older than this is never replayed.
    replay_limit: timedelta = timedelta(hours=11)
    # Clocks differ by minutes. What status dates further ahead than this was written by a process whose clock was wrong:
    # an intent is not replayed, and nothing waits for such a moment to come (``Case.happened_at``).
    clock_tolerance: timedelta = timedelta(minutes=10)
    # A redacted replay whose row is older than the intent by more than this cannot be this intent's.
    identity_tolerance: timedelta = timedelta(minutes=15)
    # A Secret write that is refused after a passed dry run is given this long (RBAC and webhooks come and go) …
    write_patience: timedelta = timedelta(minutes=2)
    # … and then writes of unknown outcome this long to settle, before the new key is given up.
    write_settle: timedelta = timedelta(seconds=60)
    # I4: no object mints more than this many times in this window. Status remembers no more moments than the default.
    mint_limit: Annotated[int, Field(ge=1, le=RECENT_INTENTS)] = RECENT_INTENTS
    mint_limit_window: timedelta = timedelta(hours=1)
    # Definite refusals, unknown outcomes and everything else that is tried again.
    backoff_first: timedelta = timedelta(minutes=5)
    backoff_limit: timedelta = timedelta(hours=6)
    retry_first: timedelta = timedelta(seconds=5)
    retry_limit: timedelta = timedelta(minutes=5)
    # The vendor's Retry-After is clamped to its own window.
    retry_after_limit: timedelta = timedelta(hours=1)
    # A proven dry run is good for this long.
    preflight_valid: timedelta = timedelta(seconds=20)
    # An unreferenced key is an orphan only when it is this old by the vendor's own clock.
    orphan_age: timedelta = timedelta(minutes=30)
    # I5: a key that was used although nobody should hold it is revoked when the vendor saw no use of it for this long.
    idle_before_revoke: timedelta = timedelta(hours=24)
    # A revocation by somebody else mints at most once in this long: whoever revokes again means it.
    remint_interval: timedelta = timedelta(hours=24)
    # Attributes that somebody else keeps changing, and a Secret that somebody else keeps rewriting, are put right at once
    # three times, then more and more rarely; after twice the longest wait without a change they count from one again.
    drift_first: timedelta = timedelta(hours=1)
    drift_longest: timedelta = timedelta(hours=24)
    # How often a key whose revocation is held up is looked at again.
    held_recheck: timedelta = timedelta(hours=1)
    # A rollout is looked at first after this long, then ever more rarely …
    rollout_poll_first: timedelta = timedelta(seconds=2)
    rollout_poll_limit: timedelta = timedelta(minutes=1)
    # … and is shown as stalled after this long, even where Kubernetes itself sets no deadline.
    rollout_patience: timedelta = timedelta(minutes=15)
    # An old plaintext leaves the Secret this long before its key is revoked: as long as a kubelet may take to show it.
    previous_key_lead: timedelta = timedelta(minutes=2)
    # How often a blocked object is looked at again without any event (the cause may go unseen).
    recheck: timedelta = timedelta(minutes=1)
