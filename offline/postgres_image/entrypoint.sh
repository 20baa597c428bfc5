#!/bin/sh
# Stands in for the entry point of the official image of PostgreSQL, as far as our manifests use that one.
# It makes the database of POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB in PGDATA once. Then it listens at each address.
set -eu
: "${PGDATA:=/var/lib/postgresql/18/docker}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "The database is not made yet, and POSTGRES_PASSWORD is empty." >&2
        exit 1
    fi
    half=$PGDATA.half
    rm -rf "$half"
    mkdir -p "${PGDATA%/*}"
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    initdb --pgdata="$half" --username="$POSTGRES_USER" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --no-locale
    rm "$password"
    echo "host all all all scram-sha-256" >>"$half/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -j -D "$half" postgres
    fi
    mv "$half" "$PGDATA" # whole or not at all
fi
unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql
