"""``saperly-operator``: the root of the command line. One file per command beside this one."""

import typer

from saperly_operator import __version__
from saperly_operator.cli.cluster import cluster
from saperly_operator.cli.crds import crds
from saperly_operator.cli.demo import demo
from saperly_operator.cli.installation import installation
from saperly_operator.cli.orphans import orphans
from saperly_operator.cli.run import run
from saperly_operator.cli.simulate import simulate

app = typer.Typer(
    name="saperly-operator",
    help="API keys for fleets of AI agents, on Kubernetes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


app.command()(cluster)
app.command()(crds)
app.command()(demo)
app.command()(run)
app.command()(simulate)
app.add_typer(installation, name="installation")
app.add_typer(orphans, name="orphans")


@app.callback()
def root() -> None:
    """Holds the commands together; does nothing by itself."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
