"""``kubectl saperly``: the kubectl plugin. It shares the commands of ``saperly-operator``."""

from saperly_operator.cli.main import app

__all__ = ["app"]
