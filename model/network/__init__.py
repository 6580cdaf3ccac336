"""The vision transformer itself: layers, positions, threads and the memory they work in."""
