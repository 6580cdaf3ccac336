"""Long runs against the finished thing: ``make fuzz``, ``make chaos``, ``make mutation``."""
