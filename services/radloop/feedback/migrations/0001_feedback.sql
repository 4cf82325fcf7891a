create table case_file (
    case_id text primary key,
    site text not null,
    purpose text not null,
    patient_key text not null,
    order_revision integer not null,
    revision integer not null,
    prediction_id text not null,
    prediction_revision integer not null,
    predicted_at timestamptz,
    requests jsonb not null,
    verdicts jsonb not null,
    report jsonb not null,
    reported_at timestamptz,
    said jsonb,
    label_revision integer not null
);
create index case_file_purpose on case_file (purpose);
