"""Deliberate breaks of the protocol, each of which has to turn a test red. ``make mutants``."""
