"""The process that searches: `python -m worker`.

::

    supervisor.py   the parent: loads weights and index once, forks those below, restarts what dies
    searcher.py     an RQ worker: takes jobs from the queue, forks a process for each, watches over it
    jobs.py         what that process does: claim the row, encode, compare, write the results
    reconciler.py   brings rows and queue together again every few seconds

`guard.py` keeps foreign jobs out, `limits.py` bounds memory, threads and time, `runtime.py` holds what all
share.
"""
