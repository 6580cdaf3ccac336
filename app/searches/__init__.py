"""Searches: made here, carried out by the worker, shown here."""
