create table sig (id varchar(64) primary key, type varchar(32) not null, data varchar(2048));
create table nokey (n int not null, v text); create table nulls (n int, v text);
insert into nokey select g, 'v'||g from generate_series(1,5) g; insert into nulls select nullif(g,3), 'v'||g from generate_series(1,3) g;
