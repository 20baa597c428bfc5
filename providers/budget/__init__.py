"""Keep rents within the budget: count the cost of a UTC day and month and the promised cost, and judge one more rent."""
