"""The market's records: machines, offers, contracts, their meters, and the rows that show them. Pure."""
