"""The play: apply a SaperlyKey, get a Secret; change it, lose it, delete it; in the end nothing is live."""

import asyncio
import base64
import json
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from saperly_operator.cli.demo.screen import Screen, masked
from saperly_operator.cli.demo.stage import SYSTEM_NAMESPACE, DemoError, Stage, a_stage
from saperly_operator.clock import SystemClock
from saperly_operator.envtest import EnvtestError
from saperly_operator.saperly.audit import AuditReader
from saperly_operator.saperly.concealed import Plaintext
from saperly_operator.saperly.errors import SaperlyError, ServiceKeyRejected
from saperly_operator.saperly.transport import make_http_client

_EXAMPLES = Path(__file__).parents[4] / "examples"
_HERE = "--namespace=agents"
_NAME = "support-agent"
_SECRET = "support-agent-key"  # noqa: S105 (a name)


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running, and say how to play with it.")
    ] = False,
) -> None:
    """Show the main job end to end: a real Kubernetes API server, the simulated vendor, the operator between them."""
    screen = Screen(Console())
    if not (_EXAMPLES / "quickstart.yaml").exists():
        screen.failure(
            "the demo plays examples/quickstart.yaml: run it from a checkout of the repository (make demo)"
        )
        raise typer.Exit(1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with a_stage(screen.dim) as stage:
            _play(stage, screen, keep=keep)
    except KeyboardInterrupt:
        screen.dim("stopped")
        raise typer.Exit(130) from None
    except (DemoError, EnvtestError, SaperlyError, OSError) as error:
        screen.failure(str(error))
        for note in getattr(error, "__notes__", ()):
            screen.failure(note)
        raise typer.Exit(1) from None


def _interrupt(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(stage: Stage, screen: Screen, *, keep: bool) -> None:
    screen.chapter("A cluster, a vendor, an operator")
    _set_up(stage, screen)
    screen.chapter("Apply a SaperlyKey, get a Secret")
    first = _first_key(stage, screen)
    screen.chapter("Change it: no new key")
    _change_cap(stage, screen)
    screen.chapter("Lose the Secret: one new key, the old one is retired")
    second = _lose_secret(stage, screen)
    if keep:
        _keep_running(stage, screen)
        return
    screen.chapter("Delete it: nothing is left live")
    _delete(stage, screen, [first, second])


def _set_up(stage: Stage, screen: Screen) -> None:
    screen.step("Kubernetes answers", f"{stage.plane.url}, RBAC on")
    stage.start_simulator()
    screen.step("the simulated Saperly API answers", stage.api_url)
    stage.install(_EXAMPLES / "rbac.yaml")
    screen.step("CRDs and the operator's rights are installed", "examples/rbac.yaml")
    # From a file: a literal would stand in argv for everybody to read.
    source = f"--from-file=SAPERLY_SERVICE_KEY={stage.service_key_file}"
    name = "saperly-service-key"
    stage.kubectl("create", "secret", "generic", name, f"--namespace={SYSTEM_NAMESPACE}", source)
    screen.step("the service key is in a Secret", f"{SYSTEM_NAMESPACE}/{name}")
    stage.start_operator()
    screen.step("the operator watches", "a process of its own, as the user saperly-operator")


def _first_key(stage: Stage, screen: Screen) -> Plaintext:
    manifest = (_EXAMPLES / "quickstart.yaml").read_text()
    screen.yaml(manifest.rpartition("---\n")[2])
    began = time.monotonic()
    stage.kubectl("apply", f"--filename={_EXAMPLES / 'quickstart.yaml'}")
    screen.step("kubectl apply", "examples/quickstart.yaml")
    key = _wait_ready(stage)
    screen.step("Ready", f"{time.monotonic() - began:.2f} s after apply")
    screen.output(stage.kubectl("get", "saperlykeys", _HERE))
    plaintext = _plaintext(stage)
    screen.step("the Secret holds the key", masked(plaintext.reveal(), key["status"]["current"]["prefix"]))
    if not asyncio.run(_works(stage, plaintext)):
        raise DemoError("the key in the Secret does not work")
    screen.step("the key works", "GET /v1/audit?api_key_id=self answers 200")
    _expect(stage, live=1)
    return plaintext


def _change_cap(stage: Stage, screen: Screen) -> None:
    stage.kubectl("patch", "saperlykey", _NAME, _HERE, "--type=merge", '--patch={"spec":{"monthlyCapCents":7500}}')
    screen.step("kubectl patch", "monthlyCapCents: 7500")
    stage.wait_for(lambda: stage.vendor.live_keys()[0].monthly_cap_cents == 7500, "the new cap arrives")
    screen.step("the vendor has the new cap", "the same key, PATCHed")
    _expect(stage, live=1)


def _lose_secret(stage: Stage, screen: Screen) -> Plaintext:
    stage.kubectl(
        "patch", "saperlykey", _NAME, _HERE, "--type=merge", '--patch={"spec":{"rotation":{"overlap":"2s"}}}'
    )
    before = stage.vendor.live_keys()[0].id
    stage.kubectl("delete", "secret", _SECRET, _HERE)
    screen.step("kubectl delete secret", "by mistake; its plaintext is gone for good")
    stage.wait_for(lambda: _current(stage) not in (None, before), "another key is minted")
    _wait_ready(stage)
    screen.step("a new key is in the Secret", "minted once")
    stage.wait_for(
        lambda: [child.id for child in stage.vendor.live_keys()] == [_current(stage)], "the old key is revoked"
    )
    screen.step("the old key is revoked", "after its overlap of 2 s; the default is 1 h")
    screen.output(stage.kubectl("get", "events", _HERE, "--field-selector=involvedObject.kind=SaperlyKey"))
    return _plaintext(stage)


def _delete(stage: Stage, screen: Screen, plaintexts: list[Plaintext]) -> None:
    stage.kubectl("delete", "saperlykey", _NAME, _HERE, "--timeout=60s")
    screen.step("kubectl delete saperlykey", "returned, so it is gone")
    if any(asyncio.run(_works(stage, plaintext)) for plaintext in plaintexts):
        raise DemoError("a key still works after its deletion")
    screen.step("its keys do not work any more", "401")
    if _SECRET in stage.kubectl("get", "secrets", _HERE):
        raise DemoError("the Secret is still there")
    screen.step("its Secret is gone")
    _expect(stage, live=0)
    screen.ledger(stage.vendor.ledger())
    screen.step("nothing is live")


def _keep_running(stage: Stage, screen: Screen) -> None:
    screen.chapter("It is yours")
    screen.output(
        f"""\
export KUBECONFIG={stage.plane.kubeconfig()}
alias kubectl={stage.kubectl_path}
kubectl get saperly -A
kubectl describe saperlykey {_NAME} {_HERE}
kubectl annotate saperlykey {_NAME} {_HERE} --overwrite saperly.com/rotate-requested-at=$(date +%s)
kubectl delete saperlykey {_NAME} {_HERE}
curl -s '{stage.control_url}/keys?live=true'        # what is live at the vendor

the operator's log: {stage.folder / "logs" / "operator.log"}
the simulator's control surface is described in docs/simulator.md
"""
    )
    screen.dim("Ctrl-C stops everything and removes it.")
    while True:
        stage.children.check()
        time.sleep(0.5)


def _wait_ready(stage: Stage) -> dict[str, Any]:
    stage.kubectl("wait", "--for=condition=Ready", f"saperlykey/{_NAME}", _HERE, "--timeout=60s")
    return _key(stage)


def _key(stage: Stage) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(stage.kubectl("get", "saperlykey", _NAME, _HERE, "--output=json"))
    return key


def _current(stage: Stage) -> str | None:
    current = _key(stage)["status"].get("current") or {}
    found: str | None = current.get("id")
    return found


def _plaintext(stage: Stage) -> Plaintext:
    secret = json.loads(stage.kubectl("get", "secret", _SECRET, _HERE, "--output=json"))
    return Plaintext(base64.b64decode(secret["data"]["SAPERLY_API_KEY"]).decode())


async def _works(stage: Stage, plaintext: Plaintext) -> bool:
    """Whether the vendor accepts the key, asked as its holder would."""
    async with make_http_client(user_agent="saperly-demo") as http:
        try:
            await AuditReader(stage.api_url, plaintext, http=http, clock=SystemClock()).read()
        except ServiceKeyRejected:
            return False
    return True


def _expect(stage: Stage, *, live: int) -> None:
    found = len(stage.vendor.live_keys())
    if found != live:
        raise DemoError(f"the vendor has {found} live keys, and should have {live}")
