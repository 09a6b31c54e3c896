"""Figures on a real control plane, beside a floor measured in the same run. ``make bench``."""
