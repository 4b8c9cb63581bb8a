create table toast (id int primary key, a text, b bytea, c jsonb, n int, l text[]); create table toast_other (id int primary key, a text);
alter table toast alter a set storage external, alter b set storage external, alter c set storage external, alter l set storage external; alter table toast_other alter a set storage external;
insert into toast values (1,repeat('a',3000),decode(repeat('00ff',3000),'hex'),jsonb_build_object('k',repeat('j',3000)),1,array[repeat('l',3000)]); insert into toast_other values (1,repeat('o',3000));
