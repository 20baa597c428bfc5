"""Manage all rentals under one stack's id as one resource."""
