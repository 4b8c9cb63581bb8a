create table sig (id varchar(64) primary key, type varchar(32) not null, data varchar(2048));
create table a1 (id int primary key, kind text, n int); create table a2 (id int primary key, kind text, n int); create table other (id int primary key, kind text, n int);
insert into a1 select g, case g%2 when 0 then 'even' else 'odd' end, 100-g from generate_series(1,9) g; insert into a2 select * from a1; insert into other select * from a1;
