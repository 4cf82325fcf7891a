create table case_file (
    case_id text primary key,
    site text not null,
    embedding text not null,
    embedding_revision integer not null,
    embedding_version integer not null,
    unread_revision integer not null,
    pooled_as text not null,
    read_patient text not null,
    label_patient text not null,
    order_patient text not null,
    order_revision integer not null,
    cancelled boolean not null,
    labels jsonb not null,
    teaches integer not null,
    withdrawn_from jsonb not null
);
create index case_file_teaching on case_file (case_id) where teaches > 0;
create index case_file_withdrawn on case_file (case_id) where withdrawn_from <> '[]'::jsonb;

create table book (
    model text primary key,
    release integer not null,
    versions jsonb not null,
    cycles jsonb not null,
    records jsonb not null,
    productions jsonb not null,
    waiting_since timestamptz
);

create table dataset_snapshot (
    snapshot text primary key,
    model text not null,
    version integer not null,
    case_ids jsonb not null
);
create index dataset_snapshot_cases on dataset_snapshot using gin (case_ids);
