-- What waits, waits under all of its keys; a timer that must wait keeps its instant, which is its identity.
alter table parked add column keys text[] not null default '{}';
update parked set keys = array[key];
create index parked_keys on parked using gin (keys);
alter table timer add column not_before timestamptz;
