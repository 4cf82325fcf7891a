-- How often a reading was taken, whatever became of it: who gives it back late can be told from who holds it now.
alter table reading add column turn integer not null default 0;
