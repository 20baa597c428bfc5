"""Own the count of elastic fleets.

Most modules directly in this package are pure rules: no I/O, no clock, no process. `pulumi_cli`, `slot_stack`, `slot_lock`
and `empty_attributes` do I/O. `__main__` starts the controller.
"""
