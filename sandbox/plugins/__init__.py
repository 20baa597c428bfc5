"""Stand-ins for Pulumi's provider plugins, for machines that cannot download them; never used where the official ones can."""
