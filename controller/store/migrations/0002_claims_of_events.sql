-- Which claim a slot served when something happened to it, so that a claim's history outlasts the slots that it had.

alter table gpu_fleet.events add column claim text;
create index on gpu_fleet.events (claim, id) where claim is not null;
