-- What controllers of one stack share. Moments named _at are unix seconds of the controller's wall clock, except `changed_at`.

create table gpu_fleet.owner (
    only_row boolean primary key default true check (only_row),
    stack text not null
);

-- One row a slot, as controller/slots.py has it. A writer names the version that it read.
create table gpu_fleet.slots (
    fleet text not null,
    index integer not null check (index >= 0),
    state text not null,
    version bigint not null,
    failures integer not null,
    failed_at double precision,
    dead boolean not null,
    claim text,
    usd_per_hour double precision,
    changed_at timestamptz not null default now(),  -- when `state` last changed, by this server's clock
    primary key (fleet, index)
);

-- Where an instance answers, as its stack exported it; no secret.
create table gpu_fleet.endpoints (
    fleet text not null,
    index integer not null,
    endpoint text not null,
    primary key (fleet, index)
);

-- How long a slot took from `renting` to `ready`: what the next one may expect.
create table gpu_fleet.boots (
    id bigint generated always as identity primary key,
    fleet text not null,
    seconds double precision not null
);

create table gpu_fleet.claims (
    id text primary key,
    fleet text not null,
    count integer not null check (count > 0),
    owner text not null,
    created_at double precision not null,
    expires_at double precision not null,
    ended_at double precision,
    idempotency_key text,
    request jsonb not null,
    unique (owner, idempotency_key)
);

create table gpu_fleet.events (
    id bigint generated always as identity primary key,
    at double precision not null,
    fleet text not null,
    index integer,
    event text not null,
    reasons jsonb not null
);
create index on gpu_fleet.events (fleet, index, id);

create table gpu_fleet.audit (
    id bigint generated always as identity primary key,
    at double precision not null,
    client text not null,
    method text not null,
    path text not null,
    status integer not null,
    claim text
);

-- Wake those who wait, whoever wrote.
create function gpu_fleet.tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('gpu_fleet', tg_table_name);
    return null;
end $$;
create trigger tell after insert or update or delete on gpu_fleet.slots for each statement execute function gpu_fleet.tell();
create trigger tell after insert or update or delete on gpu_fleet.claims for each statement execute function gpu_fleet.tell();
create trigger tell after insert on gpu_fleet.events for each statement execute function gpu_fleet.tell();

-- An endpoint is that of the instance which is rented now.
create function gpu_fleet.moved() returns trigger language plpgsql as $$
begin
    if new.state = old.state then
        return new;
    end if;
    new.changed_at := now();
    if old.state = 'renting' and new.state = 'ready' then
        insert into gpu_fleet.boots (fleet, seconds) values (new.fleet, extract(epoch from now() - old.changed_at));
    end if;
    if new.state = 'absent' then
        delete from gpu_fleet.endpoints where fleet = new.fleet and index = new.index;
    end if;
    return new;
end $$;
create trigger moved before update on gpu_fleet.slots for each row execute function gpu_fleet.moved();
