"""The market's HTTP API: one client, its responses, its errors and its rate limits."""
