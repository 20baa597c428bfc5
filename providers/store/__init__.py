"""Manage the object store: the bucket, its owner mark, and the blobs of every manifest.

Imports go one way: `resource` -> `bucket`, `blobs` -> `bucket_owner`, `upload`, `inputs` -> `client` -> `errors`.
"""
