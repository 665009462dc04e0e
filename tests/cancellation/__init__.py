"""A cancellation at each suspension of each public coroutine.

A *case* is a short scenario that calls one public coroutine. The sweep runs it again and again and
cancels the call at its first suspension, at its second, and so on, until the call ends without a
cancellation; and it does all that a second time with cancellations that arrive just after the event
that the call was waiting for. After each run, the case checks what the docstring promises under
"Cancellation:", and the sweep checks that no task and no file descriptor is left.

* ``suspensions``: counts the suspensions of a coroutine, and cancels it at one of them.
* ``public_coroutines``: finds all public coroutines.
* ``network_cases``, ``session_cases``, ``clock_cases``, ``queue_cases``, ``source_cases``,
  ``server_cases``: the cases.
* ``undisturbed``: the sample of the cases, and its decision if nothing is cancelled.
* ``test_sweep``: runs all cases on each event loop, and checks that no public coroutine is missing.
"""
