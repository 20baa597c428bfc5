-- The digest of an edit that a slot's `up` is to bring, or failed to bring, so that the next controller goes on with its wave.

alter table gpu_fleet.slots add column follows text;
