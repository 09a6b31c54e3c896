"""Deciding: what the next step for one SaperlyKey is. Pure; no I/O, no clock, no randomness in here."""
