"""The object store: the bucket, the blobs of every manifest, and who may touch them.

`resource` -> `bucket`, `blobs` -> `ownership`, `upload`, `inputs` -> `client` -> `errors`: imports go this way only.
"""
