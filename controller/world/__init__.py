"""The real world behind the loop's ports: hosts over SSH, the market, slots' stacks, the table and the ledger."""
