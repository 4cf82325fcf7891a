-- Whose word on an order is the latest, and when it was said by the sender's own clock: a message that was overtaken is told by it.
alter table order_request add column told_by text not null default '', add column told_at timestamptz;
