-- A row per case; each jsonb column is the newest word of one topic.
create table listed_case (
    case_id text primary key,
    site text not null,
    ordered jsonb,
    "join" jsonb,
    imaged jsonb,
    read jsonb,
    unread jsonb,
    place jsonb,
    opened jsonb,
    signed_at timestamptz,
    verdicts jsonb not null,
    results jsonb not null,
    requests jsonb not null,
    standing text not null,
    stat boolean not null,
    read_by timestamptz,
    accession text not null,
    asked_until timestamptz
);
create index listed_case_waiting on listed_case (site, stat desc, read_by) where standing = 'waiting';
create index listed_case_done on listed_case (site, signed_at desc) where standing in ('signed', 'cancelled');
create index listed_case_asked on listed_case (site, asked_until) where asked_until is not null;
create index listed_case_accession on listed_case (site, accession) where accession <> '';

create table model (
    model text primary key,
    versions jsonb not null
);
