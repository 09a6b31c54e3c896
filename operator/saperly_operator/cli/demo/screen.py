"""What the demo says: one line a step with the seconds since its beginning, coloured on a terminal, plain elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_MARGIN = " " * 10
_PLAIN_WIDTH = 120


class Screen:
    """Prints as things happen. ``monotonic`` is the clock whose zero the demo's beginning is."""

    def __init__(self, console: Console, monotonic: Callable[[], float]) -> None:
        self._console = console
        self._monotonic = monotonic
        self._began = monotonic()

    @classmethod
    def of_this_terminal(cls, monotonic: Callable[[], float]) -> "Screen":
        """On standard output; as wide as the terminal, or ``_PLAIN_WIDTH`` in a pipe."""
        console = Console(highlight=False)
        return cls(console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH), monotonic)

    def title(self, text: str) -> None:
        """A new act."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def say(self, text: str) -> None:
        """A sentence about what follows."""
        self._console.print(Text(_MARGIN + text), soft_wrap=True)

    def note(self, text: str) -> None:
        """A detail, with its time."""
        self._timed("·", text, "dim")

    def done(self, text: str) -> None:
        """Something that holds, checked, with its time."""
        self._timed("✓", text, "green")

    def failed(self, text: str) -> None:
        """Something that should hold and does not."""
        self._timed("✗", text, "bold red")

    def command(self, line: str) -> None:
        """A command that is run now, fit to be copied."""
        self._console.print(Text(f"{_MARGIN}$ ").append(line, style="bold cyan"), soft_wrap=True)

    def output(self, text: str) -> None:
        """What a command printed."""
        for line in text.rstrip().splitlines():
            self._console.print(Text(f"{_MARGIN}  {line}"), soft_wrap=True)

    def yaml(self, text: str) -> None:
        """A manifest."""
        coloured = Syntax("", "yaml", theme="ansi_dark", background_color="default").highlight(text.rstrip())
        for line in coloured.split("\n"):
            line.rstrip()
            self._console.print(Text(f"{_MARGIN}  ").append_text(line), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table under the names of its columns."""
        table = Table(*columns, box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))  # a name at Saperly ends in brackets: no markup
        self._console.print(Padding(table, (0, 0, 0, len(_MARGIN) + 2)))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """While something takes its time: a spinner on a terminal, a line elsewhere."""
        if self._console.is_terminal:
            with self._console.status(Text(text)):
                yield
        else:
            self.note(text)
            yield

    def _timed(self, mark: str, text: str, style: str) -> None:
        seconds = self._monotonic() - self._began
        line = Text().append(f"{seconds:6.1f}s ", style="dim").append(f"{mark} ", style=style)
        self._console.print(line.append(text, style=style if style == "dim" else ""), soft_wrap=True)
