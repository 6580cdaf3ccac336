"""The home page, the About page, and the preferences for language and theme."""
