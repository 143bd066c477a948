"""The guided run that ``make run`` performs: everything is started, used, broken and looked into.

Nothing here is pretended: what a line says was read back from the app, from the storage or from the emulator's record
of the requests it got.
"""
