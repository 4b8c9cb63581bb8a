create table s1 (id int primary key, v text); create table s2 (id int primary key, v text); create table s_empty (id int primary key);
insert into s1 select g,'v'||g from generate_series(1,3) g; insert into s2 values (1,'x');
