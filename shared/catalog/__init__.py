"""Keeping each tenant's catalogue in step with Store for Business.

A *pass* lists a tenant's inventory, fetches what is new there, and downloads the files; it lives in rows, not in a
process, so whoever dies is replaced.

- ``starting``: passes are begun, one a tenant. ``listing``: the inventory, page by page. ``pieces``: up to 50 products
  of a page, fetched. ``missing``: what a full listing left out. ``bringing``: files, by ``downloader``.
- ``ending``: the one worker that finds nothing left to do. ``sweeping``: what a crash left behind goes on.
- ``working``: whose turn it is; ``claims``: who is at what.
- ``content``, ``record``: what is kept of a product, and how it is written. ``files``: which files it has, and where.
- ``work``: what is kept of a pass; ``shelf``: where. ``schedule``: when something is tried again. Pure but ``shelf``.
- ``reading``: the catalogue for those who look at it.
"""
