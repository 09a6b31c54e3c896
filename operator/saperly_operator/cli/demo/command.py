"""The command: from the terminal to the story, and back to an exit code."""

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from saperly_operator.cli.demo.failure import DemoFailure
from saperly_operator.cli.demo.screen import Screen
from saperly_operator.cli.demo.stage import Stage, stage
from saperly_operator.cli.demo.story import Story
from saperly_operator.cli.signals import unwind_on_signals
from saperly_operator.envtest import EnvtestError

_INTERRUPTED = 130


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, to play with.")] = False,
) -> None:
    """Show the main job end to end, on a real control plane and the simulated Saperly API. Needs a checkout.

    Exit code 0 only when everything was as it should be. The first time, the control plane's binaries are downloaded
    or built, which may take ten minutes.
    """
    unwind_on_signals()
    screen = Screen.of_this_terminal(time.monotonic)
    root = _checkout()
    playing = False
    try:
        with stage(screen, root) as built:
            story = Story(built, screen, root)
            story.tell()
            if keep:
                story.apply_again()
                _explain_how_to_play(screen, built)
                playing = True
                _keep_running(built)
    except KeyboardInterrupt:
        screen.say("Stopped; nothing is left running.")
        if not playing:
            raise typer.Exit(_INTERRUPTED) from None
    except DemoFailure:
        raise typer.Exit(1) from None  # the stage has said what and why
    except EnvtestError as error:
        screen.failed(str(error))
        raise typer.Exit(1) from None


def _checkout() -> Path:
    for folder in (Path(__file__).parents[4], Path.cwd()):
        if (folder / "examples" / "quickstart.yaml").exists():
            return folder
    raise typer.BadParameter("run it in a checkout of the repository: it applies the files in crds/ and examples/")


def _explain_how_to_play(screen: Screen, built: Stage) -> None:
    kubectl, vendor = built.kubectl, built.vendor
    screen.title("Everything is left running, with the quickstart applied once more. In another terminal:")
    lines = [f"export KUBECONFIG={kubectl.kubeconfig}"]
    if shutil.which("kubectl") is None:
        lines.append(f"export PATH={kubectl.binary.parent}:$PATH")
    lines += [
        "kubectl get saperlykeys --all-namespaces --watch",
        "kubectl explain saperlykey.spec",
        "kubectl describe saperlykey support-agent -n agents",
        "kubectl delete secret support-agent-key -n agents      # it heals",
        "kubectl delete saperlykey support-agent -n agents      # its keys are revoked",
        f"curl -s '{vendor.control_url}/keys?live=true'          # what is live at the vendor",
        f'curl -s {vendor.control_url}/faults -d \'{{"kind": "reset", "when": "after", "operation": "mint"}}\'',
        f"tail -f {built.plane.logs}/operator.log",
    ]
    for line in lines:
        screen.say(line)
    screen.title("Ctrl-C stops it and removes everything.")


def _keep_running(built: Stage) -> None:
    while True:
        built.check()
        time.sleep(1)
