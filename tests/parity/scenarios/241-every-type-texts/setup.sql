create extension hstore; create extension citext; create extension ltree; create extension isn;
create type mood as enum ('a','b'); create domain posint as int; create domain dtext as text; create domain dmood as varchar(7); create domain dnum as numeric(8,2); create domain dts3 as timestamp(3); create domain dtz as timestamptz(2); create domain dbit as bit(3); create domain darr as text[]; create domain dhs as hstore; create domain dname as name; create domain ddd as dnum;
create type comp as (a int, b text); create type frange as range (subtype=float8);
create table t (id int primary key,
 n numeric, n10 numeric(10,3), n5 numeric(5), m money, mn money not null,
 d date, t0 time(0), t3 time(3), t4 time(4), t6 time, tz timetz, tz2 timetz(2), ts timestamp, ts0 timestamp(0), ts3 timestamp(3), ts5 timestamp(5), z timestamptz, z0 timestamptz(0), z3 timestamptz(3),
 iv interval, by bytea, hs hstore, nm name, ct citext, lt ltree, ib isbn, ch "char", bp char(4), vc varchar(9),
 b1 bit(1), b5 bit(5), vb varbit, vb1 varbit(1),
 dp posint, dt dtext, dv dmood, dn dnum, d3 dts3, dz dtz, db dbit, da darr, dh dhs, dna dname, dd ddd,
 ai int[], at text[], an numeric[], an2 numeric(8,2)[], ad date[], aqt time[], aq3 time(3)[], aqz timetz[], ats timestamp[], ats3 timestamp(3)[], atz timestamptz[], atz3 timestamptz(3)[], aby bytea[], ahs hstore[], act citext[], alt ltree[], au uuid[], aj jsonb[], af real[], af8 float8[], ab bool[], ab5 bit(5)[], ab1 bit(1)[], am mood[], ao oid[], ai8 int8[], ai2 int2[], ain inet[], ar int4range[], atv tsvector[], ach "char"[], abp char(3)[], aib isbn[], atr tstzrange[],
 ivn interval(3), ltx lquery, cu comp, fr frange, mr int4multirange, ptx point, rc regclass, x8 xid8, tq tsquery);
insert into t values (1, 123.4500, 12.5, 7, 12.5, -1234.5, '2024-02-29','04:05:06','04:05:06.7','04:05:06.789','04:05:06.789012','04:05:06.789012+02','04:05:06.78-03:30','2024-02-29 04:05:06.789012','2024-02-29 04:05:06','2024-02-29 04:05:06.7','2024-02-29 04:05:06.78901','2024-02-29 04:05:06.789012+02','2024-02-29 04:05:06+02','2024-02-29 04:05:06.7+02',
 '1 year 2 mons 3 days 04:05:06.789','\xdeadbeef','a=>1,b=>NULL,zz=>"q\"x",aaa=>3','nm','CiT','a.b','978-0-393-04002-9','q','ab','vc','1','10101','1011','1',
 7,'dt','dv',1.5,'2024-02-29 04:05:06.7','2024-02-29 04:05:06.78+02','101','{a,NULL}','k=>v','nn',2.5,
 '{1,NULL}','{a,NULL,"b c"}','{1.10,NULL,2}','{1.1,2}','{2024-02-29,NULL}','{04:05:06.789012,24:00:00,NULL}','{04:05:06.789}','{04:05:06.789+02,NULL}','{"2024-02-29 04:05:06.789012",NULL}','{"2024-02-29 04:05:06.7"}','{"2024-02-29 04:05:06.789012+02",NULL}','{"2024-02-29 04:05:06.7+02"}','{"\\xde",NULL}','{"a=>1",NULL}','{CiT,NULL}','{a.b}','{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}','{"{\"a\":1}",NULL}','{1.5,NaN,Infinity,NULL}','{2.5,1e300,NULL}','{t,f,NULL}','{10101,NULL}','{1}','{a}','{1,NULL}','{1,NULL}','{1,NULL}','{10.0.0.1,NULL}','{"[1,3)",NULL}','{"fat"}','{x,NULL}','{x,NULL}','{978-0-393-04002-9}','{"[2024-01-01 00:00:00+02,)"}',
 '3 days 00:00:00.1239','*.a','(1,x)','[1.5,2)','{[1,3)}','(1.5,2)','t','10','a & b');
insert into t(id,mn) values (2,0);
