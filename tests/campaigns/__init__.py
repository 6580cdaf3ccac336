"""Long runs against the whole system: ``make chaos``, ``make load``, ``make fuzz`` and ``make mutation``."""
