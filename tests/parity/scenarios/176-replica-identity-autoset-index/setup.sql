create table a_index (id int primary key, u int not null, v text); create unique index a_index_u on a_index (u);
create table a_full (id int primary key, v text); create table a_default (id int primary key, v text); alter table a_default replica identity full; create table untouched (id int primary key, v text);
insert into a_index values (1,1,'x'); insert into a_full values (1,'x'); insert into a_default values (1,'x');
