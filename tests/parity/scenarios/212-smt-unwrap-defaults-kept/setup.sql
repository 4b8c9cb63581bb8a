create table e (id int primary key, v text default 'dv', n numeric(6,2) not null default 1.25, b bytea, vs numeric);
alter table e replica identity full;
create table nokey (v text, w int default 7); alter table nokey replica identity full;
insert into e values (1,'snap',1.5,'\x01',2.5);
