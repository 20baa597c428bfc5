"""Rent, wait, adopt and give back: no paid instance is ever without an owner."""
