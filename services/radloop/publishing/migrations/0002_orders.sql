-- A case may answer several orders; a report names them all.
alter table publication add column other_orders jsonb not null default '[]';
