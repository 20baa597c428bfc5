"""A node without a kubelet: runs the pods of Deployments out of their manifests, so that tests see what really starts.

    node = Node(folder, manifests, secrets, images, world={"market.example.net": ("127.0.0.1", 18801)})
    with node:
        node.wait("prometheus")                 # until its own startup probe answers
        url = node.forward("prometheus", 9090)  # as kubectl port-forward

What is as in a cluster: arguments, environment, files, disks, users, groups, no capability, read-only root, probes, names of
services, ports, network policies. What is not: images (the machine's /usr and this project's builds take their place) and
limits of processor and memory, of which tests look at the peak.
"""
