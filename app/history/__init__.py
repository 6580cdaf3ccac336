"""Past searches."""
