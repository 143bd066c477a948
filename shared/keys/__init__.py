"""Keeping players' User Store ID keys alive.

- ``intake``: a key comes in, is shown, is forgotten.
- ``renewal``: a timer finds which shards have duties, a queue spreads them, workers carry them out.
- ``current``: a key for a call, now; ``pauses``: players whom the Store wants left alone.
- ``record``, ``filing``: what is kept of a player, and where; ``active``, ``sealing``: how a key rests.
- ``schedule``: when something is to be done. Pure.
"""
