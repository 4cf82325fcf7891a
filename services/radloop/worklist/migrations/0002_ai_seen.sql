alter table listed_case
    add column ai_seen boolean not null default false,
    add column replaced jsonb not null default '[]';
-- A lift that is on the list has been seen.
update listed_case set ai_seen = true where (place ->> 'lifted')::boolean or (place ->> 'undone')::boolean;
