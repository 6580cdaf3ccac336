"""Long runs against the finished thing: ``make fuzz``."""
