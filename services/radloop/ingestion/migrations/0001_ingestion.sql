-- Orders, studies and their objects, the cases that join them, and who patients are. PHI: only this room's role reads it.
-- Columns that end in _key are the hashes that inputs are locked and looked up by.
create table order_request (
    order_id text primary key,
    case_id text not null,
    site text not null,
    person jsonb not null,
    recorded_at timestamptz not null,
    placer jsonb,
    filler jsonb,
    accession jsonb,
    study_uid text not null,
    priority text not null,
    procedure jsonb,
    modality text not null,
    indication text not null,
    placed_at timestamptz,
    status text not null,
    own_case text not null,
    apart jsonb not null,
    keys text[] not null default '{}'
);
create index order_request_keys on order_request using gin (keys);
create index order_request_case on order_request (case_id);

create table imaging_study (
    study_uid text primary key,
    case_id text not null,
    site text not null,
    arrived_at timestamptz not null,
    person jsonb,
    accession jsonb,
    study_date text not null,
    age_years double precision,
    description text not null,
    purpose text not null,
    revision integer not null,
    said_images integer not null,
    keys text[] not null default '{}'
);
create index imaging_study_keys on imaging_study using gin (keys);
create unique index imaging_study_case on imaging_study (case_id);

create table dicom_object (
    sop_instance_uid text primary key,
    object_key text not null unique,
    study_uid text not null,
    sha256 text not null,
    content text not null,
    size bigint not null,
    sop_class_uid text not null,
    series_uid text not null,
    modality text not null,
    body_part text not null,
    view text not null,
    rows integer not null,
    columns integer not null,
    frames integer not null,
    not_acquired text not null,
    arrived_at timestamptz not null
);
create index dicom_object_study on dicom_object (study_uid);

-- One accession number and one study lead to one case: the unique columns of which the case is made.
create table case_file (
    case_id text primary key,
    site text not null,
    order_revision integer not null,
    signed_at timestamptz,
    study_uid text unique,
    accession_issuer text,
    accession text,
    unique (site, accession_issuer, accession)
);
create index case_file_accession on case_file (accession);

create table patient_merge (
    retired_key text primary key,
    retired jsonb not null,
    survivors jsonb not null,
    survivor_keys text[] not null
);
create index patient_merge_survivors on patient_merge using gin (survivor_keys);

create table message_heard (
    control text not null,
    digest text not null,
    flagged boolean not null,
    at timestamptz not null,
    primary key (control, digest)
);

-- What pseudonyms of patients are made with: one row, drawn once, never leaves this schema.
create table pseudonym (
    one boolean primary key default true check (one),
    salt text not null
);
insert into pseudonym (salt) values (gen_random_uuid()::text || gen_random_uuid()::text);
