"""Benchmarks: Vitrine and other libraries, side by side in one process.

``make bench`` runs `bench.run`, which writes the tables of docs/benchmarks.md. Imports `model`, `gallery`,
`config` and `tests.support`; nothing imports it.
"""
