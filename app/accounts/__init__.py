"""Accounts: names, passwords, sessions checked on the server, tokens of the API."""
