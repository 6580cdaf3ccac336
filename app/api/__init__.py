"""The JSON API: the same searches, for programs that send a bearer token."""
