create table t (id int primary key, a text not null, n int default 5, amount numeric(10,2), at timestamp(3), tz timestamptz(3), d date,
  tm time(3), f float8, r real, ok boolean default true, big bigint, small smallint, bin bytea, arr int[], txt text default 'none');
alter table t replica identity full;
create table nopk (x int, y text); alter table nopk replica identity full;
insert into t values (1,'x',5,12.50,'2024-01-02 03:04:05.678','2024-01-02 03:04:05.678+00','2024-02-29','23:59:59.999',1.5,0.1,true,9000000000,-3,'\x00ff',array[1,2],'t');
