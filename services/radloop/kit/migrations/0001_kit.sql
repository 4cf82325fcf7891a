-- What every room keeps beside its own tables; applied with the room's schema as search_path.
create table inbox (
    route text not null,
    input_id text not null,
    key text not null,
    type text not null,
    outcome text not null,
    reason text not null default '',
    answer bytea,
    trace text not null default '',
    settled_at timestamptz not null default now(),
    primary key (route, input_id)
);
create index inbox_key on inbox (key);

create table outbox (
    id bigserial primary key,
    event_id text not null unique,
    topic text not null,
    key text not null,
    headers jsonb not null,
    value bytea not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz
);
create index outbox_waiting on outbox (id) where sent_at is null;
create index outbox_key on outbox (key);
create index outbox_sent on outbox (sent_at) where sent_at is not null;

create table delivery (
    id bigserial primary key,
    key text not null unique,
    receiver text not null,
    subject text not null,
    kind text not null,
    route text not null,
    input jsonb not null,
    state text not null default 'waiting',
    tries integer not null default 0,
    first_tried_at timestamptz,
    not_before timestamptz not null default now(),
    leased_until timestamptz,
    outcome text not null default '',
    reason text not null default '',
    answer bytea,
    trace text not null default '',
    created_at timestamptz not null default now(),
    ended_at timestamptz
);
create index delivery_waiting on delivery (receiver, subject, id) where state = 'waiting';
create index delivery_subject on delivery (subject);

create table timer (
    key text not null,
    name text not null,
    due timestamptz not null,
    site text not null,
    trace text not null default '',
    primary key (key, name)
);
create index timer_due on timer (due);

create table attempt (
    route text not null,
    input_id text not null,
    count integer not null,
    reason text not null default '',
    primary key (route, input_id)
);

create table parked (
    id bigserial primary key,
    route text not null,
    key text not null,
    input_id text not null,
    type text not null,
    source text not null,
    headers jsonb not null,
    payload bytea not null,
    reason text not null,
    parked_at timestamptz not null default now(),
    not_before timestamptz not null default now(),
    tries integer not null default 0,
    unique (route, input_id)
);
create index parked_key on parked (route, key, id);

create table quarantine (
    id uuid primary key default gen_random_uuid(),
    source text not null,
    route text not null,
    input_id text not null,
    type text not null,
    subject text not null,
    headers jsonb not null,
    payload bytea not null,
    reason text not null,
    attempts integer not null default 0,
    trace text not null default '',
    state text not null default 'waiting',
    at timestamptz not null default now(),
    ended_at timestamptz
);
create index quarantine_waiting on quarantine (at) where state = 'waiting';
create index quarantine_subject on quarantine (subject);

create table job (
    job_id text primary key,
    name text not null,
    subject text not null,
    site text not null,
    spec text not null,
    state text not null default 'waiting',
    progress double precision not null default 0,
    note text not null default '',
    tries integer not null default 0,
    leased_until timestamptz,
    trace text not null default '',
    created_at timestamptz not null default now(),
    ended_at timestamptz
);
create index job_waiting on job (created_at) where state in ('waiting', 'running');
