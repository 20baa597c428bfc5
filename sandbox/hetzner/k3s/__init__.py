"""A stand-in of k3s for emulated servers: the same command line, files and snapshots, around a real API server and etcd.

It is served as one executable file. It runs on the server's own Python, with Debian's python3-yaml and python3-cryptography,
and starts etcd, kube-apiserver and kube-controller-manager, which each emulated server sees. If the server sees the programs
of a node, too, it runs pods by them, with the files of sandbox/node. Else objects are admitted and kept, and no pod runs.
"""
