-- What a receiver refused for good waits in quarantine as everything else does; `round` counts how often it came back from there.
alter table delivery add column round integer not null default 0;
insert into quarantine (source, route, input_id, type, subject, headers, payload, reason, attempts, trace, at)
select 'delivery:' || receiver, 'delivery', key, kind, subject, jsonb_build_object('content-type', input->>'content_type'),
    decode(translate(input->>'body', '-_', '+/'), 'base64'), reason, tries, trace, coalesce(ended_at, created_at)
from delivery where state = 'quarantined';
