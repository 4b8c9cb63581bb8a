-- About 8,500 rows, the same every time: numbers come from hashes of the row's own number, not from chance.

-- A number from 0 to below_this, by a row's number and what it is for.
CREATE FUNCTION pg_temp.pick(row_number bigint, purpose text, below_this bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT abs(hashint8extended($1, hashtextextended($2, 0))) % $3 $$;

INSERT INTO device_types (name, category, rack_units, max_power_watts, specifications, created_at)
SELECT name, category::device_category, units, watts,
       jsonb_build_object('generation', generation, 'form_factor', units || 'U', 'hot_plug', units > 1),
       '2023-01-09 08:00+00'::timestamptz + number * interval '3 days'
FROM (VALUES
    (1, 'PowerEdge R750', 'SERVER', 2, 1400.0, 15), (2, 'PowerEdge R650', 'SERVER', 1, 1100.0, 15),
    (3, 'PowerEdge R760', 'SERVER', 2, 1800.0, 16), (4, 'PowerEdge R660', 'SERVER', 1, 1400.0, 16),
    (5, 'PowerEdge R940', 'SERVER', 3, 2400.0, 14), (6, 'PowerEdge R840', 'SERVER', 2, 2000.0, 14),
    (7, 'PowerEdge T550', 'SERVER', 5, 1100.0, 15), (8, 'PowerEdge XE9680', 'SERVER', 6, 12000.5, 16),
    (9, 'PowerEdge MX7000', 'CHASSIS', 7, 9000.0, 14), (10, 'PowerEdge FX2s', 'CHASSIS', 2, 3200.0, 13),
    (11, 'PowerStore 1200T', 'STORAGE', 2, 1450.0, 2), (12, 'PowerStore 5200T', 'STORAGE', 2, 1900.0, 2),
    (13, 'PowerVault ME5024', 'STORAGE', 2, 580.0, 5), (14, 'Unity XT 480', 'STORAGE', 2, 1200.0, 4),
    (15, 'PowerSwitch S5248F-ON', 'NETWORK', 1, 645.0, 5), (16, 'PowerSwitch Z9432F-ON', 'NETWORK', 1, 1500.0, 9),
    (17, 'PowerSwitch N3248TE-ON', 'NETWORK', 1, 180.0, 3), (18, 'VxRail P670F', 'HCI', 2, 1400.0, 15),
    (19, 'VxRail E660N', 'HCI', 1, 1100.0, 15), (20, 'VxRail VE-660', 'HCI', 1, NULL, 16)
) AS models (number, name, category, units, watts, generation)
ORDER BY number;

INSERT INTO users (username, email, roles, key_fingerprint, is_active, created_at, last_login_at)
SELECT format('%s%s', (ARRAY['amira', 'björn', 'chen', 'dana', 'eoin'])[1 + n % 5], n),
       format('%s%s@example.com', (ARRAY['amira', 'bjorn', 'chen', 'dana', 'eoin'])[1 + n % 5], n),
       CASE WHEN n % 8 = 0 THEN '{administrator,operator}'::text[] WHEN n % 3 = 0 THEN '{operator}' ELSE '{viewer}' END,
       CASE WHEN n % 4 > 0 THEN sha256(n::text::bytea) END,
       n % 11 > 0,
       '2023-02-01 09:00+00'::timestamptz + n * interval '7 hours',
       CASE WHEN n % 6 > 0 THEN '2024-11-01 07:30+00'::timestamptz + pg_temp.pick(n, 'login', 4000000) * interval '1 second' END
FROM generate_series(1, 25) AS n;

INSERT INTO device_groups (parent_id, name, kind, rules, description, created_at)
SELECT CASE WHEN n > 5 THEN 1 + (n - 6) % 5 END,
       CASE WHEN n <= 5 THEN (ARRAY['Amsterdam', 'Austin', 'Bangalore', 'Cork', 'Singapore'])[n]
            ELSE format('%s / Room %s', (ARRAY['Amsterdam', 'Austin', 'Bangalore', 'Cork', 'Singapore'])[1 + (n - 6) % 5], 1 + (n - 6) / 5) END,
       CASE WHEN n % 7 = 0 THEN 'DYNAMIC' WHEN n % 10 = 0 THEN 'PLUGIN' ELSE 'STATIC' END::group_kind,
       CASE WHEN n % 7 = 0 THEN '{"all": [{"field": "health_status", "is": "CRITICAL"}]}'::jsonb END,
       CASE WHEN n % 2 = 0 THEN 'Kept by the site''s own team' END,
       '2023-02-10 10:00+00'::timestamptz + n * interval '1 day'
FROM generate_series(1, 30) AS n;

INSERT INTO devices (asset_id, service_tag, device_name, device_type_id, model, ip_address, health_status, power_state,
                     cpu_sockets, memory_gb, inlet_celsius, location, tags, attributes, discovered_at, last_seen_at)
SELECT md5('device ' || n)::uuid,
       upper(substr(md5('tag ' || n), 1, 7)) || lpad(to_hex(n), 3, '0'),
       format('%s-%s-%s.example.com', lower(left(type.category::text, 3)), (ARRAY['ams', 'aus', 'blr', 'ork', 'sin'])[1 + n % 5], lpad(n::text, 4, '0')),
       type.id, type.name,
       ('10.' || n % 5 || '.' || n / 250 || '.' || 1 + n % 250)::inet,
       (ARRAY['OK', 'OK', 'OK', 'OK', 'OK', 'OK', 'OK', 'WARNING', 'CRITICAL', 'UNKNOWN'])[1 + pg_temp.pick(n, 'health', 10)]::health_status,
       (ARRAY['ON', 'ON', 'ON', 'ON', 'OFF', 'STANDBY'])[1 + pg_temp.pick(n, 'power', 6)]::power_state,
       CASE WHEN type.category IN ('SERVER', 'HCI') THEN 1 + pg_temp.pick(n, 'cpu', 4) END,
       CASE WHEN type.category IN ('SERVER', 'HCI') THEN 64 * (1 + pg_temp.pick(n, 'memory', 32)) END,
       18 + pg_temp.pick(n, 'inlet', 160) / 10.0,
       format('Row %s, rack %s, unit %s', chr(65 + (n % 8)::int), 1 + n % 24, 1 + pg_temp.pick(n, 'unit', 42)),
       CASE pg_temp.pick(n, 'tags', 4) WHEN 0 THEN '{}'::text[] WHEN 1 THEN '{production}' WHEN 2 THEN '{production,"gold support"}' ELSE ARRAY['lab', NULL, 'naïve "quotes"'] END,
       jsonb_build_object('idrac', format('7.%s.%s', pg_temp.pick(n, 'idrac', 20), n % 60), 'cost_center', 4000 + n % 37, 'owner', NULL, 'ratios', jsonb_build_array(0.1, n / 7.0)),
       '2023-03-01 00:00+00'::timestamptz + n * interval '137 minutes' + pg_temp.pick(n, 'micros', 1000000) * interval '1 microsecond',
       CASE WHEN n % 13 > 0 THEN '2024-12-01 00:00+00'::timestamptz + pg_temp.pick(n, 'seen', 86400000) * interval '1 millisecond' END
FROM generate_series(1, 1000) AS n
JOIN device_types AS type ON type.id = 1 + pg_temp.pick(n, 'type', 20)
ORDER BY n;

INSERT INTO group_memberships (group_id, device_id, added_by, added_at)
SELECT CASE WHEN n <= 1000 THEN 1 + (n - 1) % 5 ELSE 6 + pg_temp.pick(n, 'group', 25) END,
       CASE WHEN n <= 1000 THEN n ELSE 1 + (n - 1001) * 2 END,
       CASE WHEN n % 5 > 0 THEN 1 + pg_temp.pick(n, 'added by', 25) END,
       '2023-06-01 12:00+00'::timestamptz + n * interval '11 minutes'
FROM generate_series(1, 1500) AS n;

INSERT INTO network_interfaces (device_id, name, mac_address, addresses, subnet, speed_mbps, vlans, is_management)
SELECT 1 + (n - 1) / 2,
       CASE WHEN n % 2 = 1 THEN 'iDRAC' ELSE 'NIC.Slot.1-1' END,
       ('d0:94:66:' || substr(md5('mac ' || n), 1, 2) || ':' || substr(md5('mac ' || n), 3, 2) || ':' || substr(md5('mac ' || n), 5, 2))::macaddr,
       CASE WHEN n % 2 = 1 THEN ARRAY[('10.100.' || n / 250 || '.' || 1 + n % 250)::inet]
            ELSE ARRAY[('10.200.' || n / 250 || '.' || 1 + n % 250)::inet, ('fd00:' || to_hex(n) || '::1/64')::inet] END,
       CASE WHEN n % 3 > 0 THEN ('10.' || CASE WHEN n % 2 = 1 THEN 100 ELSE 200 END || '.0.0/16')::cidr END,
       (ARRAY[1000, 10000, 25000, 100000])[CASE WHEN n % 2 = 1 THEN 1 ELSE 1 + pg_temp.pick(n, 'speed', 4) END],
       CASE WHEN n % 2 = 0 THEN ARRAY[100 + (n % 50)::int, 200 + (n % 30)::int] END,
       n % 2 = 1
FROM generate_series(1, 2000) AS n;

INSERT INTO firmware_packages (component, version, criticality, released_on, size_bytes, sha256, release_notes)
SELECT (ARRAY['BIOS', 'iDRAC', 'PERC H755', 'BOSS-S2', 'Broadcom 57414', 'Intel E810', 'CPLD', 'Power supply', 'Backplane', 'TPM', 'NVMe P5510', 'Lifecycle Controller'])[1 + (n - 1) % 12],
       format('%s.%s.%s', 1 + (n - 1) / 12, pg_temp.pick(n, 'minor', 20), pg_temp.pick(n, 'patch', 10)),
       (ARRAY['OPTIONAL', 'RECOMMENDED', 'RECOMMENDED', 'URGENT'])[1 + pg_temp.pick(n, 'criticality', 4)]::update_criticality,
       '2022-01-15'::date + (n * 9)::int,
       1048576 * (1 + pg_temp.pick(n, 'size', 400)) + n,
       sha256(('package ' || n)::bytea),
       CASE WHEN n % 4 = 0 THEN repeat(format('Fixes %s. ', md5('fix ' || n)), 100) WHEN n % 4 = 1 THEN 'Security fixes.' END
FROM generate_series(1, 120) AS n;

INSERT INTO device_firmware (device_id, package_id, installed_at, maintenance_window, is_compliant)
SELECT 1 + pg_temp.pick(n, 'device', 1000), 1 + pg_temp.pick(n, 'package', 120),
       '2024-01-01 00:00'::timestamp + n * interval '9 hours' + pg_temp.pick(n, 'installed', 1000000) * interval '1 microsecond',
       CASE WHEN n % 50 = 0 THEN '24:00'::time ELSE '00:00'::time + (n % 24) * interval '1 hour' END,
       pg_temp.pick(n, 'compliant', 10) > 1
FROM generate_series(1, 600) AS n;

INSERT INTO alerts (device_id, severity, category, message, reading, details, raised_at, acknowledged_by, acknowledged_at)
SELECT 1 + pg_temp.pick(n, 'device', 1000),
       (ARRAY['INFO', 'INFO', 'WARNING', 'WARNING', 'CRITICAL'])[1 + kind]::alert_severity,
       (ARRAY['System Health', 'Audit', 'Temperature', 'Storage', 'Power'])[1 + kind],
       (ARRAY['The system inventory was collected.', 'A user logged in over SSH.', 'The inlet temperature is above its warning threshold.',
              'Physical disk 3 in backplane 1 reports a predictive failure.', 'Power supply 2 has lost its input.'])[1 + kind],
       CASE WHEN kind = 2 THEN 35 + pg_temp.pick(n, 'reading', 1500) / 100.0 END,
       CASE WHEN kind > 1 THEN jsonb_build_object('message_id', format('TMP0%s', 100 + kind), 'sensor', 'naïve ☂ "inlet"', 'attempts', pg_temp.pick(n, 'attempts', 9)) END,
       '2024-10-01 00:00+00'::timestamptz + n * interval '83 minutes',
       CASE WHEN n % 3 = 0 THEN 1 + pg_temp.pick(n, 'acknowledged', 25) END,
       CASE WHEN n % 3 = 0 THEN '2024-10-01 01:00+00'::timestamptz + n * interval '84 minutes' END
FROM generate_series(1, 1000) AS n, LATERAL (SELECT pg_temp.pick(n, 'kind', 5)::int AS kind) AS k;

INSERT INTO jobs (name, kind, state, created_by, target_ids, parameters, progress, schedule, started_at, finished_at)
SELECT format('%s #%s', kind, n), kind, state::job_state, 1 + pg_temp.pick(n, 'by', 25),
       ARRAY(SELECT 1 + pg_temp.pick(n * 10 + k, 'target', 1000) FROM generate_series(1, n % 6) AS k),
       CASE WHEN n % 3 > 0 THEN jsonb_build_object('reboot', n % 2 = 0, 'retries', n % 4) END,
       CASE state WHEN 'COMPLETED' THEN 100 WHEN 'SCHEDULED' THEN 0 ELSE pg_temp.pick(n, 'progress', 10000) / 100.0 END,
       CASE WHEN n % 4 = 0 THEN '0 2 * * SUN' END,
       CASE WHEN state <> 'SCHEDULED' THEN '2024-11-01 02:00+00'::timestamptz + n * interval '3 hours' END,
       CASE WHEN state IN ('COMPLETED', 'FAILED') THEN '2024-11-01 02:41:07.25+00'::timestamptz + n * interval '3 hours' END
FROM generate_series(1, 200) AS n,
     LATERAL (SELECT (ARRAY['Inventory', 'Firmware update', 'Power cycle', 'Template deployment'])[1 + n % 4] AS kind,
                     (ARRAY['COMPLETED', 'COMPLETED', 'COMPLETED', 'FAILED', 'RUNNING', 'SCHEDULED', 'CANCELLED'])[1 + pg_temp.pick(n, 'state', 7)] AS state) AS k;

INSERT INTO job_executions (job_id, device_id, state, exit_code, output, seconds)
SELECT 1 + (n - 1) % 200, 1 + pg_temp.pick(n, 'device', 1000), state::job_state,
       CASE state WHEN 'COMPLETED' THEN 0 WHEN 'FAILED' THEN 1 + pg_temp.pick(n, 'code', 40) END,
       CASE WHEN state = 'FAILED' THEN E'Task failed:\n\tthe device did not answer.\\ See log.' END,
       CASE WHEN state <> 'RUNNING' THEN pg_temp.pick(n, 'seconds', 3600000) / 1000.0 END
FROM generate_series(1, 300) AS n,
     LATERAL (SELECT (ARRAY['COMPLETED', 'COMPLETED', 'COMPLETED', 'FAILED', 'RUNNING'])[1 + pg_temp.pick(n, 'state', 5)] AS state) AS k;

INSERT INTO warranties (device_id, service_level, starts_on, ends_on, price, currency, is_extended)
SELECT n, (ARRAY['Basic Support', 'ProSupport Next Business Day', 'ProSupport Plus 4 Hours'])[1 + pg_temp.pick(n, 'level', 3)],
       '2022-06-01'::date + (n % 700)::int, '2025-06-01'::date + (n % 700 + pg_temp.pick(n, 'years', 3) * 365)::int,
       100 + pg_temp.pick(n, 'price', 900000) / 100.0, (ARRAY['USD', 'EUR', 'SGD'])[1 + pg_temp.pick(n, 'currency', 3)], n % 9 = 0
FROM generate_series(1, 1000) AS n;

INSERT INTO audit_log (at, user_id, client, session_id, action, object, request)
SELECT '2024-11-15 06:00+00'::timestamptz + n * interval '97 seconds' + pg_temp.pick(n, 'at', 1000000) * interval '1 microsecond',
       CASE WHEN n % 17 > 0 THEN 1 + pg_temp.pick(n, 'user', 25) END,
       CASE WHEN n % 10 > 0 THEN ('192.168.' || n % 4 || '.' || 1 + n % 250)::inet ELSE '2001:db8::1'::inet END,
       md5('session ' || n / 9)::uuid,
       (ARRAY['LOGIN', 'LOGOUT', 'UPDATE', 'CREATE', 'DELETE', 'EXPORT'])[1 + pg_temp.pick(n, 'action', 6)],
       CASE WHEN n % 3 > 0 THEN format('/api/DeviceService/Devices(%s)', 1 + pg_temp.pick(n, 'object', 1000)) END,
       CASE WHEN n % 2 = 0 THEN jsonb_build_object('method', 'PATCH', 'fields', jsonb_build_array('device_name', 'location'), 'ok', n % 5 > 0) END
FROM generate_series(1, 700) AS n;

ANALYZE;
