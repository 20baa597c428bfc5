"""The state that controllers of one stack share, in PostgreSQL: slots, claims, events, the audit, and locks."""
