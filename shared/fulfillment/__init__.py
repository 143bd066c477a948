"""Fulfilment: a consumable that a player bought is consumed at the Store and granted in our books, exactly once.

- ``request``: what may be asked for. ``intake``: the request becomes a job, once for each tracking id.
- ``work``: a worker claims the job and consumes with the same values until the outcome is known; ``outcomes`` and
  ``schedule`` say what follows from each outcome, and when. Pure, those two.
- ``sweeper``: what nobody is on any more goes on.
"""
