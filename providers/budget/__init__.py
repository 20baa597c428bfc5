"""Budgets that hold: what a UTC day and month have cost, what is promised, and whether one more rent fits."""
