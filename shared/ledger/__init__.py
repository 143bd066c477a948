"""Players' books: what was fulfilled for them, from which order lines, and what was taken back.

- ``record``: what is kept, and how it is written as rows. Pure.
- ``filing``: where: the table ``ledger``, in which all of a player's rows change in one transaction.
- ``order_lines``: the table ``orderlines``, which finds the player of an order line.
- ``granting``: a consume becomes a grant. ``closing``: what has ended is no longer swept.
- ``corrections``: a clawback event takes back, or gives back.
- ``outbox``: events are written down with what they tell, and sent afterwards.
"""
