"""A stand-in for the `kubernetes` plugin: plain objects by server-side apply, on whatever API server the kubeconfig names.

It proves the program, its manifests and the API server's answers to them, and nothing about the official plugin. It waits
until Deployments and StatefulSets run, and for no other kind. Left out: names that the plugin invents, Patch resources,
lists, Helm and YAML.
"""
