alter table case_file add column told_at timestamptz, add column hastened jsonb;
