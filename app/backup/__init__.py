"""Backups of an installation, for ``flask backup`` and ``flask restore``: one tar file with checksums.

`archive` reads and writes the file and knows nothing of Vitrine; `databases` takes a snapshot of SQLite or
PostgreSQL and restores it; `saving` and `restoring` put the two together.
"""
