"""The API: the same searches, for programs."""
