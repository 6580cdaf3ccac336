"""Whether the application lives, is ready, and how it does."""
