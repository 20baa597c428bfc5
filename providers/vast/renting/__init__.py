"""Rent, wait, adopt and give back. Every paid instance has an owner at every moment."""
