"""Deterministic simulation of the runtime and of the server's logic.

A *schedule* is one run of a random scenario on :class:`~tests.simulation.loop.SimulatedLoop`: some
actors use a network at the same time, while disturbances cancel their calls, raise exceptions in
their callbacks and let the clock jump. A seed determines everything, so a schedule that fails
fails again with the same seed::

    python -m tests.simulation --seed 1234          # replay one schedule
    python -m tests.simulation --schedules 10000    # run many

The modules, in the order in which a reader needs them:

* ``loop``: the event loop, which makes all choices of a schedule from the seed.
* ``disturbances``: cancellations, planned exceptions and pauses.
* ``expected``: the results that an undisturbed run has, computed without an event loop if possible.
* ``user_code``: populations, policies, rules and sources that fail or wait when told to.
* ``world``: what the actors of a schedule share.
* ``actors``: the users: each does one kind of work, and checks every result.
* ``invariants``: what must hold after every schedule.
* ``schedule``: draws a scenario, runs it and checks it.
* ``canaries``: planted faults, which the schedules must find.
"""
