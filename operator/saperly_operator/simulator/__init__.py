"""The Saperly API as a faithful server: a sans-I/O core, and an HTTP shell around it.

``core`` and everything it imports is pure bookkeeping: it opens no socket, reads no clock of its own and draws no
randomness of its own. ``server`` and ``control_http`` are the shell; only they, and the command line, import them.
"""
