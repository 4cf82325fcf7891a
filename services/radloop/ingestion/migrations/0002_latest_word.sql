-- When each sender last spoke of an order, by its own clock: a message that was overtaken is told by it.
alter table order_request add column told jsonb not null default '[]';
