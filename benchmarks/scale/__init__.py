"""How the app would run on Azure's engine at scale: a discrete-event simulation fed with measured and assumed costs.

It knows the queues, the limits and the rules of the subjects, whose numbers it takes from their code; it calls nothing
and runs none of it. What each input rests on stands in :mod:`benchmarks.scale.inputs`.
"""
