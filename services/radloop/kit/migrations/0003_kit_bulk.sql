-- Timers that come by the thousand and that nobody waits for are settled after all others.
alter table timer add column bulk boolean not null default false;
