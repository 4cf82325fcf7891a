alter table case_file add column hastened jsonb;
