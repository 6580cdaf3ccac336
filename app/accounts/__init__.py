"""Accounts: names, passwords, server-side sessions and API tokens.

`app.api` looks up tokens here, and `app.cli` manages accounts; no other package imports this one.
"""
