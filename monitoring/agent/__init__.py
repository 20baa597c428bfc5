"""What runs on a host to say how it is: standard library and prometheus_client only, Python 3.10 or later."""
