-- One row per case: the facts, then what was said outside.
create table publication (
    case_id text primary key,
    site text not null,
    "order" jsonb,
    patient jsonb,
    order_revision integer not null,
    joined boolean,
    join_revision integer not null,
    images jsonb,
    reading jsonb,
    failed_revision integer not null,
    failure text not null,
    verdict jsonb,
    taken_back jsonb not null,
    triage jsonb,
    opened boolean not null,
    signed boolean not null,
    number integer not null,
    said jsonb,
    standing jsonb,
    withheld text not null,
    stands boolean not null,
    "references" jsonb,
    looked_for integer not null,
    looking boolean not null,
    raised jsonb,
    changes integer not null
);

create table release (
    model text primary key,
    version integer not null,
    stage text not null,
    release integer not null,
    released_at timestamptz not null
);
