"""Uploads: checks of the received picture, and the files that it is stored in."""
