insert into d values (2,20,'y');
\! sleep 1
alter table d drop constraint d_pkey, add primary key (a, id); insert into d values (3,30,'z'); update d set a=31 where id=3;
\! sleep 1
alter table d drop constraint d_pkey; alter table d replica identity full; insert into d values (4,40,'no key'); delete from d where id=4;
\! sleep 1
alter table d rename to e; insert into e values (5,50,'renamed');
\! sleep 1
create schema other; alter table e set schema other; insert into other.e values (6,60,'moved');
\! sleep 1
create table late (id serial primary key, v text default 'd'); insert into late(v) values ('late'),(null);
\! sleep 1
drop table late; create table late (id uuid primary key default gen_random_uuid(), w int); insert into late values ('00000000-0000-0000-0000-000000000001',1);
