"""``saperly-operator demo``: the main job end to end, on a real control plane and the simulated vendor.

``command`` is what typer calls; it builds a ``stage`` (processes, folders, kubectl), tells the ``story`` on it, and says
everything through one ``screen``. Nothing outlives it, however it ends.
"""

from saperly_operator.cli.demo.command import demo

__all__ = ["demo"]
