"""Review of an edit of stack config: verdicts by the rules of `up`, prices, budgets, policy. Reads both revisions as data."""
