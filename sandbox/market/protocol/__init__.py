"""The rules of the market's API for every call: errors, thresholds, filters, pages and tokens."""
