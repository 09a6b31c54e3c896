"""Rows of bad input, all tried at the same time: spoil, apply, wait for each verdict, let rechecks pass, mend.

What was seen before anything is mended is kept as data (``Verdict``), so that each test is a plain assertion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saperly_operator.simulator.state import Operation
from tests.cluster.bad_input.scene import Cost, Scene, Watch
from tests.support.waiting import eventually

RECHECKS = 8
"""Rechecks that pass under watch, one each second: enough for the backoff to have come to its longest."""


@dataclass(frozen=True)
class Cause:
    """What was spoilt. ``mend`` undoes it, as the person would whom the message tells what to do."""

    mend: Callable[[], object]
    spec: Mapping[str, Any] = field(default_factory=dict)
    """Of the SaperlyKey that meets it."""
    namespace: str | None = None


@dataclass(frozen=True)
class Row:
    """One kind of bad input, and what the user is told. ``words`` are those of the message that say what to do."""

    reason: str
    words: tuple[str, ...]
    spoil: Callable[[Scene, str], Cause]
    asks: float | None = None
    """The longest wait (seconds) between two requests to the vendor; None where it can be told without any."""
    shares: int = 1
    """How many rows' requests cannot be told apart, since no service key is known for them."""
    tries: bool = False
    """Whether the cause can only be seen by trying the write (a dry run, at each recheck)."""
    at_provider: bool = False
    """Whether the provider says the same of itself."""
    has_key: bool = False
    """Whether it befalls a SaperlyKey whose key works: it stays Ready, and that key is left alone."""
    by_update: bool = False
    """Whether what is asked for is a change of a key, not a mint."""
    mints: int = 1
    """How many keys were minted in the end, the one before the cause included."""


@dataclass(frozen=True)
class Verdict:
    """What was seen of one row before it was mended."""

    conditions: Mapping[str, Mapping[str, Any]]
    warnings: list[str]
    minted: int
    asked: Cost
    """From the SaperlyKey's making on."""
    resting: Cost
    """From the verdict on."""
    provider: Mapping[str, Mapping[str, Any]]


class Wave:
    """See the module's text. Names of rows are names of objects."""

    def __init__(self, scene: Scene, rows: Mapping[str, Row]) -> None:
        self.scene = scene
        self.rows = rows
        self.causes: dict[str, Cause] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.missing: dict[str, str] = {}
        """Rows that never got their verdict, and what they had instead."""
        self.watch = Watch(scene)
        self._mended = False

    def run(self) -> "Wave":
        """Until every row has been judged and watched."""
        self.causes = {name: row.spoil(self.scene, name) for name, row in self.rows.items()}
        self.scene.pass_rechecks(2)  # what was spoilt at the providers has been seen
        self.watch = self.scene.watch()
        self.scene.apply(
            *(self.scene.key_object(name, each.namespace, **each.spec) for name, each in self.causes.items())
        )
        for name, row in self.rows.items():
            try:
                self.scene.wait_reason(name, row.reason, self.causes[name].namespace)
            except AssertionError as error:
                self.missing[name] = str(error)
        resting = self.scene.watch()
        self.scene.pass_rechecks(RECHECKS)
        resting.stop()
        self.watch.stop()
        self.verdicts = {name: self._verdict(name, resting) for name in self.rows}
        return self

    def _verdict(self, name: str, resting: Watch) -> Verdict:
        scene, namespace = self.scene, self.causes[name].namespace
        return Verdict(
            conditions=scene.conditions(name, namespace),
            warnings=scene.warnings(name, namespace),
            minted=len(scene.minted(name)),
            asked=self.watch.cost(name),
            resting=resting.cost(name),
            provider=_conditions_of_provider(scene, name) if self.rows[name].at_provider else {},
        )

    def mend(self) -> None:
        """Take every cause away, once."""
        if not self._mended:
            self._mended = True
            for cause in self.causes.values():
                cause.mend()

    # --- the assertions -------------------------------------------------------------------------------------------

    def assert_told(self, name: str) -> None:
        """The conditions say what is wrong and what to do, as kstatus clients read them; one event says it once."""
        assert name not in self.missing, self.missing[name]
        row, verdict = self.rows[name], self.verdicts[name]
        ready, stalled = verdict.conditions["Ready"], verdict.conditions["Stalled"]
        assert (ready["status"], ready["reason"]) == (str(row.has_key), row.reason)
        assert verdict.conditions["KeyActive"]["status"] == str(row.has_key)
        assert (stalled["status"], stalled["reason"]) == ("True", row.reason)
        assert "Reconciling" not in verdict.conditions
        assert stalled["message"] == ready["message"]
        for words in row.words:
            assert words in ready["message"], ready["message"]
        assert verdict.warnings == [row.reason]
        if row.at_provider:
            assert verdict.provider["Ready"]["status"] == "False"
            assert verdict.provider["Stalled"]["reason"] == row.reason

    def assert_costs_little(self, name: str) -> None:
        """No mint, and no more requests than the backoff lets through; at rest nothing is written."""
        row, verdict, seconds = self.rows[name], self.verdicts[name], self.watch.seconds
        assert verdict.minted == int(row.has_key), "a mint was wasted"
        if row.asks is None:
            posts = 0
            assert name not in self.scene.service_keys or not verdict.asked.calls, "Saperly was asked for nothing"
        else:
            posts = verdict.asked.count(Operation.UPDATE if row.by_update else Operation.MINT)
            allowed = row.shares * (3 + seconds / row.asks)
            assert 0 < posts <= allowed, f"{posts} requests in {seconds:.0f} s"
            # After a 404 to an update, GET tells whether the key or its line is unknown.
            assert posts + (posts if row.by_update else 0) == len(verdict.asked.calls)
        assert len(verdict.resting.stored) <= 2 * posts, verdict.resting.stored
        assert verdict.asked.dry_runs <= posts + (1 + seconds if row.tries else 1), "a hot loop of dry runs"
        assert row.tries or verdict.resting.dry_runs <= posts

    def assert_recovers(self, name: str) -> None:
        """Once the cause is gone: one key, minted once, and its plaintext in the Secret; no further warning."""
        namespace = self.causes[name].namespace
        live = self.scene.assert_one_live_key(name, namespace)
        minted = self.scene.minted(name)
        assert len(minted) == self.rows[name].mints
        assert minted[-1].id == live.id
        assert self.scene.warnings(name, namespace) == [self.rows[name].reason]


def _conditions_of_provider(scene: Scene, name: str) -> dict[str, dict[str, Any]]:
    def told() -> dict[str, dict[str, Any]] | None:
        status = scene.kubectl.read("ClusterSaperlyProvider", name).get("status", {})
        conditions = {each["type"]: each for each in status.get("conditions", [])}
        return conditions if "Stalled" in conditions else None

    return eventually(told, f"the provider {name} says that it stalls")
