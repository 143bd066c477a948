"""Seats: who may use which app. Jobs assign or reclaim them for one user or a hundred thousand.

A job is accepted whole or not at all (`intake`), waits for its turn (`turns`), and is carried out block by block
(`course`, `work`, `calls`, `outcomes`). What is known of it rests in `filing` and is read by `results`.
"""
