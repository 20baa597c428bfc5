"""A real Kubernetes node on this machine, on which pods really run; it leaves nothing behind when it ends.

One network namespace and one process namespace hold all of it: etcd, API server, controllers, scheduler, kubelet, containerd,
proxy and network policies. The kernel's settings of the machine stay as they were.
"""
