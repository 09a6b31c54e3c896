"""``saperly-operator demo``: the main job end to end, on a real control plane and the simulated vendor."""

from saperly_operator.cli.demo.command import demo

__all__ = ["demo"]
