"""What the demo shows: steps with their times as they happen, manifests, tables. Never a secret."""

import time

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from saperly_operator.simulator.state import Child


class Screen:
    """A console with a clock that starts with the demo."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def dim(self, line: str) -> None:
        """Something on the side: progress of a build, a hint."""
        self._console.print(line, style="dim", markup=False, highlight=False)

    def chapter(self, title: str) -> None:
        self._console.print()
        self._console.rule(title, align="left", style="cyan")

    def step(self, what: str, detail: str = "") -> None:
        """Something happened, just now."""
        elapsed = time.monotonic() - self._began
        line = f"[dim]{elapsed:7.2f} s[/dim]  [green]✓[/green] {what}  [dim]{detail}[/dim]"
        self._console.print(line, highlight=False, soft_wrap=True)

    def failure(self, line: str) -> None:
        self._console.print(line, style="red", markup=False, highlight=False)

    def yaml(self, text: str) -> None:
        self._console.print(Syntax(text.strip(), "yaml", background_color="default"))

    def output(self, text: str) -> None:
        """What a command printed."""
        self._console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)

    def ledger(self, children: list[Child]) -> None:
        """Every key that the vendor ever minted."""
        table = Table(title="The vendor's ledger", title_justify="left")
        for column in ("name", "prefix", "cap (cents)", "minted", "revoked"):
            table.add_column(column, no_wrap=True)
        for child in children:
            revoked = "[green]no: live[/green]" if child.revoked_at is None else f"{child.revoked_at:%H:%M:%S}"
            cap = "" if child.monthly_cap_cents is None else str(child.monthly_cap_cents)
            minted = f"{child.created_at:%H:%M:%S}"
            name = child.name.replace("[", "\\[")
            table.add_row(name, f"{child.key_prefix}…", cap, minted, revoked)
        self._console.print(table)


def masked(plaintext: str, prefix: str) -> str:
    """As much of a key as its prefix shows."""
    return f"{prefix}{'•' * max(0, len(plaintext) - len(prefix))}"
