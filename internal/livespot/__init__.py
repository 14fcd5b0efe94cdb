"""A 24/7 spot trading runtime whose first promise is control."""

__version__ = "0.1.0"
