"""The worker, which carries out searches: ``python -m worker``.

::

    supervisor.py       parent process: loads weights and index once, forks and restarts the processes below
    searcher.py         RQ worker: takes jobs from the queue, forks a process for each and monitors it
    jobs.py             the job in that process: claim the row, encode, compare, write the results
    attempts.py         state transitions of a search, fenced by the attempt number
    reconciler.py       process that compares rows and queue every few seconds
    reconciliation.py   the comparison itself
    housekeeping.py     removal of expired data, by the reconciler
    guard.py            refuses jobs that are not searches
    limits.py           bounds on memory, threads, files and time
    runtime.py          weights, index and application, shared by all processes
    rq_internals.py     the undocumented names of RQ that the worker relies on

Nothing imports this package except tests: the web process enqueues the job by its name.
"""
