create extension if not exists hstore;
create table st (id int primary key, d date, t time(3), ts timestamp(3), tz timestamptz, a int[], h hstore, f real, g double precision, n numeric, j jsonb, b bytea, p point, bi bit(3));
insert into st values (1, '2024-02-29', '01:02:03.004', '2024-02-29 01:02:03.004', '2024-02-29 01:02:03+00', '{1,null,3}', 'a=>1', 1.5, 1e20, 1.25, '{"a": 1}', '\x010203', '(1,2)', B'101');
