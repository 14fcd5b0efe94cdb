"""A month in minutes: the runtime's pure decisions on minute candles, filled by the exchange."""
