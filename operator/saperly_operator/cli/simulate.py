"""``saperly-operator simulate``: the Saperly API on this machine, for tests and demos.

The composition root of the simulator: the clock, the randomness and the store are chosen here. Starlette and uvicorn
are imported when the command runs, since the operator's own image has neither.
"""

import asyncio
import json
import os
import random
import secrets
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from saperly_operator.clock import SystemClock
from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.sqlite_store import SqliteStore
from saperly_operator.simulator.state import digest_of
from saperly_operator.simulator.store import Store
from saperly_operator.simulator.turn import Entropy

if TYPE_CHECKING:
    from saperly_operator.simulator.server import Simulator


class Output(StrEnum):
    """How the command says that it is ready."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class _Ready:
    """What a caller needs to know once the simulator listens; never a plaintext unless asked for."""

    base_url: str
    control_url: str | None
    service_key_id: str | None
    service_key_file: str | None
    service_key: str | None
    pid: int

    def as_json(self) -> str:
        return json.dumps({name: value for name, value in vars(self).items() if value is not None})


def simulate(  # noqa: PLR0913, PLR0917 -- each is an option of the command
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8088,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    database: Annotated[
        Path | None, typer.Option(help="SQLite file for the state. In memory only when not given.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Makes ids and keys repeatable. Never use it for anything but tests.")
    ] = None,
    service_key_file: Annotated[
        Path | None,
        typer.Option(help="Create a service key at start and write it here (mode 0600); one still good is kept."),
    ] = None,
    environment: Annotated[Environment, typer.Option(help="Of the service key made at start.")] = Environment.TEST,
    show_service_key: Annotated[
        bool, typer.Option("--show-service-key", help="Print the service key made at start.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Serve the control surface under /_control.")
    ] = False,
    control_token_file: Annotated[
        Path | None, typer.Option(help="The control surface wants the Bearer token in this file.")
    ] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written, as JSON, once requests are taken.")] = None,
    output: Annotated[Output, typer.Option(help="Form of the line printed once requests are taken.")] = Output.TEXT,
) -> None:
    """Serve the Saperly API as a faithful simulation, until interrupted."""
    try:
        from saperly_operator.simulator.server import ControlAccess, Simulator, listen, serve  # noqa: PLC0415
    except ImportError as error:
        raise typer.BadParameter("install saperly-operator[simulator] to serve the simulator") from error
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # one left by an earlier run would tell an address where nobody listens
    access = ControlAccess(_token_in(control_token_file)) if control else None
    store, entropy = _store_and_entropy(database, seed)
    simulator = Simulator(store, SystemClock(), entropy, access)
    service_key = _bootstrap(simulator, environment, service_key_file, always=show_service_key)
    with listen(host, port) as listener:
        url = f"http://{host}:{listener.getsockname()[1]}"
        ready = _Ready(
            base_url=f"{url}/api",
            control_url=f"{url}/_control" if control else None,
            service_key_id=service_key.id if service_key else None,
            service_key_file=str(service_key_file) if service_key_file else None,
            service_key=service_key.plaintext if service_key and show_service_key else None,
            pid=os.getpid(),
        )
        asyncio.run(serve(simulator, listener, lambda: _announce(ready, ready_file, output)))


@dataclass(frozen=True)
class _ServiceKey:
    id: str
    plaintext: str


def _store_and_entropy(database: Path | None, seed: int | None) -> tuple[Store, Entropy]:
    try:
        store = SqliteStore(database) if database else Store()
    except sqlite3.Error as error:
        raise typer.BadParameter(f"cannot use {database}: {error}", param_hint="--database") from None
    if seed is None:
        return store, secrets.token_bytes
    # A restart on the same file must not draw the same ids again.
    boots = store.boots if isinstance(store, SqliteStore) else 1
    return store, random.Random(f"{seed}/{boots}").randbytes  # noqa: S311 -- repeatable is what was asked for


def _bootstrap(
    simulator: "Simulator", environment: Environment, file: Path | None, *, always: bool
) -> _ServiceKey | None:
    """The service key to start with: the one in ``file`` while it is good, else a new one, else none wanted."""
    if file is not None and file.exists():
        plaintext = file.read_text().strip()
        known = simulator.core.store.service_key_of(digest_of(plaintext))
        if known is not None and known.revoked_at is None:
            return _ServiceKey(known.id, plaintext)
    if file is None and not always:
        return None
    new = simulator.control.create_service_key(environment)
    if file is not None:
        _write_private(file, new.plaintext)
    return _ServiceKey(new.service_key.id, new.plaintext)


def _token_in(file: Path | None) -> str | None:
    if file is None:
        return None
    token = file.read_text().strip()
    if not token:
        raise typer.BadParameter(f"{file} is empty", param_hint="--control-token-file")
    return token


def _announce(ready: _Ready, file: Path | None, output: Output) -> None:
    if output is Output.JSON:
        typer.echo(ready.as_json())
    else:
        _print(ready)
    if file is not None:
        _write_private(file, ready.as_json())


def _print(ready: _Ready) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"The simulated Saperly API listens on [bold]{ready.base_url}[/bold]")
    if ready.control_url:
        console.print(f"Control surface: {ready.control_url}")
    if ready.service_key:
        console.print(f"Service key: {ready.service_key}")
    elif ready.service_key_file:
        console.print(f"Service key: in {ready.service_key_file}")


def _write_private(file: Path, text: str) -> None:
    """Readable by the owner alone, and there whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600, exist_ok=False)
    partial.write_text(text)
    partial.replace(file)
