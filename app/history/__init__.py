"""The history: past searches of the current owner."""
