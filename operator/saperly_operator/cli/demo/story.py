"""The main job, told in acts: each runs what a user runs, shows what a user sees, and checks it at the vendor.

Raises DemoFailure at the first thing that is not as it should be.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from saperly_operator import __version__
from saperly_operator.cli.demo.failure import DemoFailure
from saperly_operator.cli.demo.screen import Screen
from saperly_operator.cli.demo.stage import NAMESPACE, OPERATOR, SERVICE_ACCOUNT, Stage
from saperly_operator.clock import SystemClock
from saperly_operator.saperly.audit import AuditReader
from saperly_operator.saperly.concealed import Plaintext
from saperly_operator.saperly.errors import ServiceKeyRejected
from saperly_operator.saperly.transport import make_http_client
from saperly_operator.simulator.state import Child, Operation

_QUICKSTART = "examples/quickstart.yaml"
_KEY, _SECRET, _NS = "support-agent", "support-agent-key", "--namespace=agents"
_ENTRY = "SAPERLY_API_KEY"
_CAP = 7500


class Story:
    """One telling. ``root`` is the checkout that the examples are taken from."""

    def __init__(self, stage: Stage, screen: Screen, root: Path) -> None:
        self._stage = stage
        self._screen = screen
        self._root = root
        self._seen: list[Plaintext] = []  # for the search at the end: none may be anywhere but in its Secret

    def tell(self) -> None:
        """All acts, in order."""
        self.install()
        self.apply()
        self.show_secret()
        self.use_key()
        self.change_cap()
        self.rotate()
        self.lose_secret()
        self.delete()
        self.settle_accounts()

    def install(self) -> None:
        """What an administrator does once."""
        self._screen.title("Install")
        version = self._stage.kubectl.json("version")["serverVersion"]["gitVersion"]
        self._screen.done(f"Kubernetes {version} answers at {self._stage.plane.url}")
        self._screen.done(f"the simulated Saperly API answers at {self._stage.vendor.base_url}")
        self._run("apply", "--server-side", "-f", "crds/", quiet=True)
        self._run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s", shown=False)
        self._run("apply", "-f", "examples/rbac.yaml", quiet=True)
        # The service key travels by file: it is in no argument list and on no screen.
        entry = f"--from-file=SAPERLY_SERVICE_KEY={self._stage.vendor.service_key_file}"
        self._run("create", "secret", "generic", "saperly-service-key", f"--namespace={NAMESPACE}", entry)
        with self._screen.waiting("starting the operator"):
            self._stage.start_operator()
        self._screen.done(
            f"the operator runs as the ServiceAccount {SERVICE_ACCOUNT}, with the rights of examples/rbac.yaml only"
        )

    def apply(self) -> None:
        """The first mint."""
        self._screen.title("Apply a SaperlyKey, get a Secret")
        self._screen.yaml(_manifest(self._root / _QUICKSTART))
        before = self._stage.plane.audit.position()
        self._run("apply", "-f", _QUICKSTART)
        self._run("wait", _NS, "--for=condition=Ready", f"saperlykey/{_KEY}", "--timeout=60s")
        live = self._live(1)
        self._require(live[0].permissions == "call_only" and live[0].monthly_cap_cents == 5000, "as asked for")
        mine = self._stage.plane.audit.requests(user=OPERATOR, since=before)
        writes = sum(each.is_write and each.namespace == "agents" for each in mine)
        calls = [call for call in self._stage.vendor.control.calls() if call.operation is Operation.MINT]
        self._require(len(calls) == 1, f"{len(calls)} mints for one key")
        self._screen.done(f"Ready, for {writes} writes to Kubernetes and {len(calls)} call to Saperly")
        self._run("get", "saperlykeys", _NS)
        columns = "TYPE:.type,REASON:.reason,MESSAGE:.message"
        self._run("get", "events", _NS, f"-o=custom-columns={columns}", "--field-selector=reason=Issued")

    def show_secret(self) -> None:
        """What a workload mounts, with its value masked here."""
        self._screen.title("The Secret")
        self._screen.command(f"kubectl get secret {_SECRET} {_NS} -o yaml   # the value is masked here")
        secret = self._secret()
        value = self._plaintext()
        self._screen.yaml(_masked(secret, self._status()["current"]["prefix"]))
        digest = hashlib.sha256(value.reveal().encode()).hexdigest()
        self._require(digest == self._live(1)[0].digest, "the Secret holds the key that is live at Saperly")
        self._screen.done("its SHA-256 is that of the live key at Saperly")

    def use_key(self) -> None:
        """As the agent would."""
        self._screen.title("The key works")
        self._screen.say("GET /v1/audit?api_key_id=self, with the key from the Secret:")
        for line in asyncio.run(_read_audit(self._stage.vendor.base_url, self._plaintext())):
            self._screen.output(line)
        self._screen.done("Saperly accepts it")

    def change_cap(self) -> None:
        """An attribute is changed in place: same key."""
        self._screen.title("Change the monthly cap: same key, no new mint")
        before = self._live(1)[0]
        patch = json.dumps({"spec": {"monthlyCapCents": _CAP}})
        self._run("patch", "saperlykey", _KEY, _NS, "--type=merge", "--patch", patch)
        self._wait("the new cap at Saperly", lambda: self._live(1)[0].monthly_cap_cents == _CAP)
        after = self._live(1)[0]
        self._require(after.id == before.id and after.digest == before.digest, "still the same key")
        self._screen.done(f"at Saperly: {before.monthly_cap_cents} → {after.monthly_cap_cents} cents, the same key")

    def rotate(self) -> None:
        """A new key, and the old one lives on for the overlap."""
        self._screen.title("Rotate: the old key lives on for the overlap")
        old = self._plaintext()
        request = "saperly.com/rotate-requested-at=now"
        self._run("annotate", "saperlykey", _KEY, _NS, request)
        answered = "--for=jsonpath={.status.rotation.lastHandledRequest}=now"
        self._run("wait", _NS, answered, f"saperlykey/{_KEY}", "--timeout=60s", shown=False)
        self._require(self._plaintext() != old, "another key is in the Secret")
        self._live(2)
        self._require(self._works(old) and self._works(self._plaintext()), "the old key and the new one work")
        until = self._status()["retiring"][0]["revokeAfter"]
        self._screen.done(f"the new key is in the Secret; both work; the old one is revoked at {until}")

    def lose_secret(self) -> None:
        """Somebody deletes the Secret."""
        self._screen.title("Delete the Secret by mistake: it heals")
        lost = self._plaintext()
        self._run("delete", "secret", _SECRET, _NS)
        self._run("wait", _NS, "--for=create", f"secret/{_SECRET}", "--timeout=60s", shown=False)
        self._run("wait", _NS, "--for=condition=Ready", f"saperlykey/{_KEY}", "--timeout=60s", shown=False)
        self._require(self._plaintext() != lost, "a new key is in the new Secret")
        self._screen.done("a new key in a new Secret; nobody holds the plaintext of the old one but those who had it")
        self._show_events()

    def delete(self) -> None:
        """Nothing is left live."""
        self._screen.title("Delete the SaperlyKey: every key of it is revoked")
        self._run("delete", "saperlykey", _KEY, _NS, "--timeout=60s")
        self._live(0)
        names = self._stage.kubectl("get", "secrets", _NS, "--output=name").split()
        self._require(f"secret/{_SECRET}" not in names, "the Secret is gone")
        for key in self._seen:
            self._require(not self._works(key), "a deleted key is refused")
        self._screen.done(
            f"the Secret is gone; Saperly answers 401 to each of the {len(self._seen)} keys it ever held"
        )

    def settle_accounts(self) -> None:
        """The vendor's ledger, and a search for what must be nowhere."""
        self._screen.title("Saperly's ledger: every key that was ever minted")
        ledger = self._stage.vendor.control.ledger()
        self._screen.table(("KEY", "NAME AT SAPERLY", "MINTED", "REVOKED"), [_row(child) for child in ledger])
        self._require(all(not child.is_live for child in ledger), "nothing is live")
        self._screen.done(f"{len(ledger)} minted, {len(ledger)} revoked, 0 live")
        self._search_logs()

    def apply_again(self) -> None:
        """Something to play with."""
        self._run("apply", "-f", _QUICKSTART, quiet=True)
        self._run("wait", _NS, "--for=condition=Ready", f"saperlykey/{_KEY}", "--timeout=60s", shown=False)

    # --- helpers ------------------------------------------------------------------------------------------------

    def _run(self, *args: str, quiet: bool = False, shown: bool = True) -> None:
        """Run kubectl, and tell what the operator does meanwhile."""
        if shown:
            self._screen.command("kubectl " + " ".join(_quoted(each) for each in args))
        process = self._stage.kubectl.begin(*args)
        try:
            self._wait(f"kubectl {args[0]}", lambda: process.poll() is not None)
            output, complaint = process.communicate()
        finally:
            process.kill()
        if process.returncode != 0:
            raise DemoFailure(f"kubectl {' '.join(args)}: {complaint.strip()}")
        if shown and not quiet:
            self._screen.output(output)

    def _works(self, key: Plaintext) -> bool:
        try:
            asyncio.run(_read_audit(self._stage.vendor.base_url, key))
        except ServiceKeyRejected:  # 401, whatever the credential
            return False
        return True

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        self._stage.wait(what, holds, self._tell_steps)

    def _tell_steps(self) -> None:
        for step in self._stage.new_steps():
            self._screen.note(step)

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise DemoFailure(f"not so: {what}")

    def _live(self, count: int) -> list[Child]:
        live = self._stage.vendor.control.live_keys()
        self._require(len(live) == count, f"{count} live keys at Saperly (there are {len(live)})")
        return live

    def _status(self) -> Any:
        return self._stage.kubectl.json("get", "saperlykey", _KEY, _NS)["status"]

    def _secret(self) -> Any:
        return self._stage.kubectl.json("get", "secret", _SECRET, _NS)

    def _plaintext(self) -> Plaintext:
        value = Plaintext(base64.b64decode(self._secret()["data"][_ENTRY]).decode())
        if value not in self._seen:
            self._seen.append(value)
        return value

    def _show_events(self) -> None:
        columns = "REASON:.reason,MESSAGE:.message"
        self._run("get", "events", _NS, "--sort-by=.eventTime", f"-o=custom-columns={columns}")

    def _search_logs(self) -> None:
        needles = [each.reveal().encode() for each in self._seen]
        needles.append(self._stage.vendor.service_key_file.read_bytes().strip())
        for log in self._stage.plane.logs.iterdir():
            content = log.read_bytes()
            self._require(not any(needle in content for needle in needles), f"no credential in {log}")
        self._screen.done(f"none of the {len(self._seen)} keys and no service key in any log")


async def _read_audit(base_url: str, key: Plaintext) -> list[str]:
    async with make_http_client(user_agent=f"saperly-operator-demo/{__version__}") as http:
        page = await AuditReader(base_url, key, http=http, clock=SystemClock()).read("self", limit=3)
    return [f"{event.created_at:%H:%M:%S}  {event.type}  {json.dumps(event.data)}"[:100] for event in page.events]


def _manifest(path: Path) -> str:
    """The SaperlyKey of the quickstart, as it stands in the file."""
    documents = path.read_text(encoding="utf-8").split("\n---\n")
    return next(document for document in documents if "kind: SaperlyKey\n" in document)


def _masked(secret: Any, prefix: str) -> str:
    """The Secret as YAML: of its value only what Saperly itself shows as the key's prefix."""
    metadata = secret["metadata"]
    shown = {
        "apiVersion": secret["apiVersion"],
        "kind": secret["kind"],
        "metadata": {name: metadata[name] for name in ("name", "labels", "annotations")},
        "data": dict.fromkeys(secret["data"], prefix + "•" * 24),
        "type": secret["type"],
    }
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def _row(child: Child) -> tuple[str, ...]:
    revoked = f"{child.revoked_at:%H:%M:%S}" if child.revoked_at else "LIVE"
    return (f"{child.key_prefix}…", child.name, f"{child.created_at:%H:%M:%S}", revoked)


def _quoted(argument: str) -> str:
    return f"'{argument}'" if set(argument) & set("{} *") else argument
