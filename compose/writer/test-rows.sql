-- Run on postgres1 when the first copy is done, and looked for in postgres2.
INSERT INTO devices (service_tag, device_name, device_type_id, model, ip_address, health_status)
VALUES ('HEADWATER1', 'first.example.com', 1, 'PowerEdge R750', '10.99.0.1', 'OK'),
       ('HEADWATER2', 'second.example.com', 3, 'PowerEdge R760', '10.99.0.2', 'WARNING')
RETURNING id, service_tag;

INSERT INTO alerts (device_id, severity, category, message, details)
SELECT id, 'INFO', 'Audit', 'The device was added.', '{"by": "the test rows"}'
FROM devices ORDER BY id LIMIT 1
RETURNING id, message;
