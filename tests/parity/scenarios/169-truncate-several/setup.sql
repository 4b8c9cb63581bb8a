create table parent (id int primary key); create table child (id int primary key, p int references parent); create table lone (id int primary key, v text); create table unseen (id int primary key);
insert into parent values (1); insert into child values (1,1); insert into lone values (1,'x');
