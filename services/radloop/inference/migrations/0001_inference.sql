create table case_file (
    case_id text primary key,
    site text not null,
    priority text not null,
    procedure text not null,
    patient_key text not null,
    order_revision integer not null,
    cancelled boolean not null,
    signed boolean not null,
    live jsonb,
    live_priority text not null,
    earlier jsonb,
    pinned jsonb
);

create table model (
    model text primary key,
    versions jsonb not null
);

-- One row per reading that is wanted; the handlers' transaction writes it, the readers lease and end it.
create table reading (
    reading_id text primary key,
    case_id text not null,
    site text not null,
    role text not null,
    revision integer not null,
    rank smallint not null,
    arrived_at timestamptz not null,
    trace text not null default '',
    takes integer not null default 0,
    delays integer not null default 0,
    not_before timestamptz,
    leased_until timestamptz,
    ended_at timestamptz,
    outcome text not null default ''
);
create index reading_waiting on reading (rank, arrived_at) where ended_at is null;
create index reading_case on reading (case_id);
