-- What is asked to be sent again waits beside what was never sent; what is old is found by its age.
alter table outbox add column again boolean not null default false;
create index outbox_again on outbox (id) where again;
create index outbox_again_key on outbox (key) where again;
create index outbox_created on outbox (created_at);
create index inbox_settled on inbox (settled_at);
