create table e (id int primary key, v text default 'dv'); insert into e values (1,'snap');
