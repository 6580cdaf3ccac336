"""The home page, the page about this site, and how it looks."""
