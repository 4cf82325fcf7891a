-- What each version said of a case, so that it can be told whether it still reads what it was made on.
alter table case_file add column said jsonb not null default '[]';
