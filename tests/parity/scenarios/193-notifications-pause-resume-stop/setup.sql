create table sig (id varchar(64) primary key, type varchar(32) not null, data varchar(2048));
create table inc (id int primary key, v text); create table inc2 (a int, b varchar(10), v text, primary key (a,b));
create table nokey (v text); create table "empty" (id int primary key); create table later (id bigint primary key);
insert into inc select g,'v'||g from generate_series(1,7) g; insert into inc2 select g/3, 'b'||g, 'w'||g from generate_series(1,5) g;
insert into nokey values ('a'); insert into later values (1),(2);
