create table sig (id varchar(64) primary key, type varchar(32) not null, data varchar(2048));
create table a (id int primary key, v text); create table other (id int primary key); insert into a select g,'v'||g from generate_series(1,5) g;
