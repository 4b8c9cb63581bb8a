create table p (id bigint primary key, i int, s smallint, t text, f float8, r real, b boolean, n numeric(20,4), d date, ts timestamp, u uuid, j jsonb, a int[]);
