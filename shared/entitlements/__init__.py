"""What players own and subscribe to, and what an operator may change of it.

- ``products``, ``subscriptions``: read from the Store; ``entitled``: what a subscription is worth at a moment. Pure.
- ``changing``: changes of subscriptions, each carried out once; ``change``, ``change_filing``: what is kept of one.
- ``granting``: free products, each order once; ``grant``, ``grant_filing``: what is kept of one.
- ``asking``, ``claims``: how the Store is asked and its errors are told; who acts on a row.
"""
