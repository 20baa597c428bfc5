"""Everything that is rented under one stack's id, as one resource."""
