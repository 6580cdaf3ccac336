"""Searches: created and shown here, run by the worker."""
