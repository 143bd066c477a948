"""Runs a Functions app on a developer's machine through Microsoft's own worker library. A tool, never deployed.

Azure's host does far more (scale, keys, secrets, every trigger there is); this one does what a laptop and the tests of
this project need, the way Azure does it: HTTP, queue and timer triggers, HTTP and queue outputs. Anything else that an
app asks for stops the start with a message, so that nothing is left out in silence.

Known limits: a timer keeps no status between runs of the host (Azure's ``useMonitor``), retry policies are not carried
out, identity-based storage connections are not made (a connection string is needed), one app runs in one process.
"""
