"""The pages and pictures of the gallery; knows `gallery.catalog`, and so does not load NumPy."""
