"""Post the comment of a review to a forge: GitHub's pull requests and GitLab's merge requests."""
