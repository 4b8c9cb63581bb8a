create table k_full (id int primary key, a text, b text default 'dflt', n numeric(8,2)); alter table k_full replica identity full;
create table k_default (id int primary key, a text, b text not null);
create table nopk (x int, y text); alter table nopk replica identity full;
create table other (id int primary key, v text);
insert into k_full values (1,'a','b',1.5); insert into k_default values (1,'a','b'); insert into nopk values (1,'y');
