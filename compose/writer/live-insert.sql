-- Run on postgres1 by scripts/verify.sh, which times it until it is in postgres2.
INSERT INTO devices (service_tag, device_name, device_type_id, model, ip_address, health_status)
VALUES ('LIVE' || to_char(clock_timestamp(), 'YYMMDDHH24MISSMS'), 'live.example.com', 1, 'PowerEdge R750', '10.99.1.2', 'OK')
RETURNING id, service_tag;
