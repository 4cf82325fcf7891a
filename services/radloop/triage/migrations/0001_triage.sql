create table case_file (
    case_id text primary key,
    site text not null,
    priority text not null,
    order_revision integer not null,
    cancelled boolean not null,
    arrived_at timestamptz,
    revision integer not null,
    opened_at timestamptz,
    signed_at timestamptz,
    reading jsonb,
    lift_id text not null,
    lift_made_at timestamptz,
    failed_revision integer not null,
    failure text not null,
    late boolean not null,
    undone_at_order integer,
    purpose text not null,
    said jsonb,
    said_code text not null,
    triage_revision integer not null
);
create index case_file_pool on case_file (site) where purpose = 'pool';

create table asked (
    pool text primary key,
    case_ids jsonb not null,
    day text not null,
    spent_today integer not null,
    recent_values jsonb not null
);
