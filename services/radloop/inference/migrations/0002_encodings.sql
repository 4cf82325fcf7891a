-- Image embeddings that were made ahead of the first prompt. Each follows from the image, its preparation and the encoder alone,
-- so that a row can be lost without harm: it is made again.
create table image_encoding (
    image_sha256 text not null,
    frame integer not null,
    method_sha256 text not null,
    embedding_sha256 text not null,
    made_at timestamptz not null default now(),
    primary key (image_sha256, frame, method_sha256)
);

-- The revision whose images are to be encoded once they have been read, because a segmenter serves; 0 where none is.
alter table case_file add column encode_revision integer not null default 0;
