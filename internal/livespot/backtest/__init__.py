"""A month in minutes: the runtime's pure decisions on minute candles, with simulated fills."""
